"""The bytes that images came as and leave as: blobs by digest, and layers packed into them."""
