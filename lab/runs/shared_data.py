"""Data sets that joined machines download: their files are artifacts named by their SHA-256, which are listed here.

`lab.shared_datasets` stores and fetches them.
"""

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from lab.runs.context import StoreContext
from lab.runs.tables import shared_data

FOLDER = "datasets"  # folder of the artifact store; no run has this id


@dataclass(frozen=True, slots=True)
class SharedFile:
    """One file of a data set. path: relative to the data folder."""

    path: str
    sha256: str
    bytes: int

    @property
    def artifact(self) -> str:
        """The path of the artifact."""
        return f"{FOLDER}/{self.sha256}"


@dataclass(frozen=True, slots=True)
class SharedDataset:
    """A data set that other machines can download. content: `lab.data.load.dataset_checksum` of its files."""

    dataset: str
    content: str
    files: tuple[SharedFile, ...]


class SharedData:
    """`RunStore.shared_data`: the data sets that can be downloaded, and their files."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def publish(self, shared: SharedDataset) -> None:
        """List a data set whose files are stored as artifacts, replacing an earlier one of the same name."""
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
        """Return a data set that can be downloaded, or None if it was not published."""
        query = select(shared_data).where(shared_data.c.dataset == dataset).order_by(shared_data.c.place)
        with self.context.database.read() as connection:
            found = connection.execute(query).all()
        if not found:
            return None
        files = tuple(SharedFile(row.path, row.sha256, row.bytes) for row in found)
        return SharedDataset(dataset, str(found[0].content), files)

    def names(self) -> frozenset[str]:
        """Return the data sets that can be downloaded."""
        with self.context.database.read() as connection:
            return frozenset(connection.execute(select(shared_data.c.dataset).distinct()).scalars())
