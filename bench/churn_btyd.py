"""BG/NBD and Pareto/NBD of pymc-marketing, run by an interpreter that has it.

`python bench/churn_btyd.py CUSTOMERS.parquet MODEL OUT.json`: the customers' `frequency`,
`recency` and `T` in, the probability of no purchase in the next 90 days out. Imports nothing of
the project, because the two never share an environment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
from pymc_marketing.clv import BetaGeoModel, ParetoNBDModel

HORIZON = 90


def silent(customers: pd.DataFrame, model: str) -> list[float]:
    """P(no purchase in 90 days) of each customer, by the posterior mode."""
    fitted = (BetaGeoModel if model == "BG/NBD" else ParetoNBDModel)()
    fitted.fit(data=customers, method="map", progressbar=False)
    if model == "BG/NBD":
        p = fitted.expected_probability_no_purchase(t=HORIZON, data=customers)
    else:
        p = fitted.expected_purchase_probability(n_purchases=0, future_t=HORIZON, data=customers)
    return [float(value) for value in p.to_numpy().ravel()]


if __name__ == "__main__":
    source, name, target = sys.argv[1:]
    Path(target).write_text(json.dumps(silent(pd.read_parquet(source), name)), encoding="utf-8")
