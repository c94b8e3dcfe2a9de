"""Images: names, archives, unpacked layers and the store that keeps them.

`store.ImageStore` is the door for commands about images, `source.ImageSource` the one for whoever
starts containers, and `registry` pulls what the store does not have.  Nothing here mounts anything.
"""
