"""HTTP from outside to Services, as Ingresses say.

routes (pure: which backend) < certificates (of host names) < proxy (carries requests)
"""
