"""The API over the pods of one state root, for the page where no cluster runs.

Nothing of it is a second API: an API server of this process, whose store is memory, is given the
engine's pods as its own, and the kubelet's server answers for logs, exec and port-forward::

    engine.py     put together and taken apart
    keys.py       where its keys lie meanwhile
    follower.py   keeps the store like the state root, and ends the pods that the API deletes
    pod_watch.py  reads the state root, and reports what has changed
    documents.py  pods and events of the engine as objects of the API
"""
