"""Training in processes of their own: the supervisor, its worker, and the recorder that writes what training emits."""
