"""What tests of kubelite need, shipped with it: network namespaces of their own, and the proof that
nothing stayed behind.

Nothing here is imported by the product.
"""
