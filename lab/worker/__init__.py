"""Training in separate processes: the supervisor, its workers, and the recorder that stores what training emits."""
