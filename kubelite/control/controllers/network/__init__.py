"""Controllers of Services: EndpointSlices and Endpoints."""
