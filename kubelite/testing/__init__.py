"""What tests need, shipped: a control plane for each test of whoever uses kubelite
(``fixtures``), and for kubelite's own network namespaces and the proof that nothing stayed behind.

Nothing here is imported by the product.
"""
