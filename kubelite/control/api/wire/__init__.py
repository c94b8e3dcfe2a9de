"""The words of a request and its answer: paths, resources, status, selectors, encodings."""
