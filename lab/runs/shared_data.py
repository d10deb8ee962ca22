"""Data sets that travel: their files lie among the artifacts, each under the SHA-256 of its bytes, listed here.

A machine that joined reads what it trains on from there; `lab.shared_datasets` stores and fetches them.
"""

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from lab.runs.context import StoreContext
from lab.runs.tables import shared_data

FOLDER = "datasets"  # among the artifacts; no run has this id


@dataclass(frozen=True, slots=True)
class SharedFile:
    """One file of a data set. path: where it belongs below the data folder."""

    path: str
    sha256: str
    bytes: int

    @property
    def artifact(self) -> str:
        """Its path among the artifacts."""
        return f"{FOLDER}/{self.sha256}"


@dataclass(frozen=True, slots=True)
class SharedDataset:
    """A data set that other machines can fetch. content: `lab.data.load.dataset_checksum` of its files."""

    dataset: str
    content: str
    files: tuple[SharedFile, ...]


class SharedData:
    """`RunStore.shared_data`: which data sets can be fetched, and of which files they are."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def publish(self, shared: SharedDataset) -> None:
        """List a data set whose files are among the artifacts, in place of an earlier one of its name."""
        rows = [
            {
                "dataset": shared.dataset,
                "place": place,
                "path": file.path,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "content": shared.content,
            }
            for place, file in enumerate(shared.files)
        ]
        with self.context.database.write() as connection:
            connection.execute(delete(shared_data).where(shared_data.c.dataset == shared.dataset))
            connection.execute(insert(shared_data), rows)

    def find(self, dataset: str) -> SharedDataset | None:
        """Return a data set that can be fetched, None where nobody has published it."""
        query = select(shared_data).where(shared_data.c.dataset == dataset).order_by(shared_data.c.place)
        with self.context.database.read() as connection:
            found = connection.execute(query).all()
        if not found:
            return None
        files = tuple(SharedFile(row.path, row.sha256, row.bytes) for row in found)
        return SharedDataset(dataset, str(found[0].content), files)

    def names(self) -> frozenset[str]:
        """Return the data sets that can be fetched."""
        with self.context.database.read() as connection:
            return frozenset(connection.execute(select(shared_data.c.dataset).distinct()).scalars())
