"""The edge of a split network without torch: numpy, onnxruntime and Pillow beside Python's own library.

It runs what `lmos export` wrote of a plan, and speaks with the same servers as `lmos run`. Beside this package it needs those
modules of the others that import nothing more: streams, tokens, reading pictures. A small wheel, `lmos-edge`, holds exactly these.
"""
