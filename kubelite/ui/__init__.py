"""The web page of a cluster, and of this machine's pods where there is none.

``static`` holds the page: index.html, style sheets, ES modules. It is a client of the API like any
other. The server hands it out and carries its requests to the API server, with the credentials of
whoever started it::

    server.py        routes; every request passes gate.py first
    gate.py          which requests are let in
    session.py       the one-time token and the cookie
    forward.py       requests and WebSockets carried to the API server
    pod_start.py     when a pod's start took which step (timeline.py)
    placement.py     why a pod is pending
    port_forward.py  ports of pods on this machine
    documents.py     the objects in a text of YAML, which the page creates
    api_lookup.py    what these look up in the API
    local            the API over this machine's pods, where there is no cluster
    assets.py        the files of the page
    headers.py       what every answer tells the browser
"""
