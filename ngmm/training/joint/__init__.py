"""Networks and random effects trained together over minibatches of rows."""

from __future__ import annotations
