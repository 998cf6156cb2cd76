"""Ids of many texts in one array."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["TokenArray"]


@dataclass(frozen=True, eq=False)
class TokenArray:
    """The ids of documents, one behind the other.

    Attributes:
        ids: All ids, (N,) uint16, or uint32 where the vocabulary has more than 65,536.
        offsets: Where each document begins, and N, (documents + 1,) uint64.

    >>> import numpy as np
    >>> array = TokenArray(np.array([5, 6, 7], np.uint16), np.array([0, 1, 3], np.uint64))
    >>> len(array), array[1].tolist(), array[-2].tolist()
    (2, [6, 7], [5])
    """

    ids: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        """The number of documents."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """The ids of one document, a view, not a copy."""
        number = operator.index(index)
        position = number + len(self) if number < 0 else number
        if not 0 <= position < len(self):
            message = f"document {number} is not among {len(self)}"
            raise IndexError(message)
        return self.ids[int(self.offsets[position]) : int(self.offsets[position + 1])]
