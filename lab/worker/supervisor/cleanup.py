"""The cleanup when a supervisor starts: deleted runs, temporary files, and files that no run lists."""

from lab.errors import LabError
from lab.runs.artifacts import ArtifactStore
from lab.runs.store import RunStore
from lab.settings import Settings
from lab.worker.supervisor.log import log_supervisor


def clean_up(settings: Settings, store: RunStore) -> None:
    """Remove runs deleted a week ago, temporary files, and orphaned files of killed workers."""
    artifacts = ArtifactStore(settings.artifacts, database=store.database)
    try:
        for problem in store.integrity.checksum_older_rows():
            log_supervisor(problem)
        store.sketches.checksum_older_rows()
        store.removal.purge(artifacts.delete)
        store.logs.forget_removed()
        artifacts.remove_stray_files()
        artifacts.delete(store.files.find_orphans(artifacts.old_files()))
    except (OSError, LabError) as error:
        log_supervisor(f"cleanup was postponed: {error}")
