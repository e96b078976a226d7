"""`python -m tencent_liveness_async.cli` is the same as `tencent-liveness`."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    raise SystemExit(main())
