"""The columns of `runs` that describe the selected saved weights, and the migration that adds them.

The migration states the rule of `lab.runs.headline` in SQL, as it was at that time: it never calls the current code.
"""

from sqlalchemy import Connection, inspect, text

_COLUMNS = {
    "weights_step": "BIGINT",
    "weights_epoch": "INTEGER",
    "weights_which": "VARCHAR(16)",
    "test_loss": "DOUBLE PRECISION",
    "val_loss": "DOUBLE PRECISION",
}
_LARGEST = "1.7976931348623157e308"  # a loss above it is infinite; NULL means that none was measured
_CHOOSE = f"""
SELECT number, step, epoch, test_accuracy, test_loss, val_accuracy, val_loss,
       CASE WHEN val_loss <= {_LARGEST} THEN 'best' WHEN test_accuracy IS NULL THEN 'untested' ELSE 'last' END AS which
FROM (
  SELECT r.number, k.step, k.epoch, ta.value AS test_accuracy, tl.value AS test_loss, va.value AS val_accuracy,
         vl.value AS val_loss, ROW_NUMBER() OVER (PARTITION BY r.number ORDER BY
           CASE WHEN ta.value IS NULL THEN 1 ELSE 0 END,
           CASE WHEN vl.value <= {_LARGEST} THEN 0 ELSE 1 END,
           CASE WHEN vl.value <= {_LARGEST} THEN vl.value END,
           CASE WHEN vl.value <= {_LARGEST} THEN k.step ELSE -k.step END) AS place
  FROM kept k JOIN runs r ON r.id = k.run
  LEFT JOIN points ta ON ta.run = r.number AND ta.step = k.step
    AND ta.series = (SELECT number FROM series_names WHERE name = 'test/accuracy')
  LEFT JOIN points tl ON tl.run = r.number AND tl.step = k.step
    AND tl.series = (SELECT number FROM series_names WHERE name = 'test/loss')
  LEFT JOIN points va ON va.run = r.number AND va.step = k.step
    AND va.series = (SELECT number FROM series_names WHERE name = 'val/accuracy')
  LEFT JOIN points vl ON vl.run = r.number AND vl.step = k.step
    AND vl.series = (SELECT number FROM series_names WHERE name = 'val/loss')
  WHERE k.kind = 'weights'
) AS judged
WHERE place = 1
"""  # noqa: S608  no user input is interpolated
_WRITE = text(
    "UPDATE runs SET weights_step = :step, weights_epoch = :epoch, weights_which = :which, test_accuracy = :test_accuracy, "
    "test_loss = :test_loss, val_accuracy = :val_accuracy, val_loss = :val_loss WHERE number = :number"
)


def add_headline(connection: Connection) -> None:
    """Migration: add the columns and fill them for the runs of an older store."""
    there = {column["name"] for column in inspect(connection).get_columns("runs")}
    for name, kind in _COLUMNS.items():
        if name not in there:
            connection.execute(text(f"ALTER TABLE runs ADD COLUMN {name} {kind}"))
    chosen = [dict(row._mapping) for row in connection.execute(text(_CHOOSE))]
    if chosen:
        connection.execute(_WRITE, chosen)
