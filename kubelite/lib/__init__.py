"""What knows neither Kubernetes nor containers: YAML with places, files that are whole or not
there.
"""
