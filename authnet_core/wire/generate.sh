#!/bin/sh
# Regenerates the protobuf code beside the .proto files. Run from the repository root.
set -eu
.venv/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. authnet_core/wire/*.proto
