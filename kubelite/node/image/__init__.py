"""Images: names, archives, unpacked layers and the store that keeps them.

`store.ImageStore` serves commands about images, `source.ImageSource` whoever
starts containers, and `registry` pulls what the store does not have.  Nothing here mounts anything.
"""
