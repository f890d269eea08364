"""The edge of a split network without torch. It needs numpy, onnxruntime and Pillow.

It runs the files that `lmos export` has written of a plan, and talks to the same servers as `lmos run`. It uses some modules of the
other packages, which need nothing else either: streams, tokens, reading of pictures. The small wheel `lmos-edge` holds this package
and these modules only.
"""
