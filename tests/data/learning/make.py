"""Writes formulas.json: what independent implementations say of the formulas of domain::learn.

    python3 -m venv venv && venv/bin/pip install scipy statsmodels mpmath && venv/bin/python make.py

Inputs come from a seeded generator, so that a rerun changes only what the libraries change. Where
no library has a formula, it is evaluated from its published form with 50 digits (mpmath).
"""

import json
import pathlib
import random
import warnings

import mpmath
import numpy
import scipy
import scipy.stats as stats
import statsmodels
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats import contingency_tables, proportion

warnings.simplefilter("ignore")
mpmath.mp.dps = 50
rng = random.Random(20261123)
Z95 = float(stats.norm.ppf(0.975))
ALPHA = 0.05

# Shares of every kind: none, all, few, many, equal, far apart.
PAIRS = [(0, 10, 3, 10), (10, 10, 7, 10), (1, 34, 1, 34), (56, 70, 48, 80), (9, 10, 3, 10), (5, 56, 0, 29)]
for _ in range(60):
    n, m = (int(10 ** rng.uniform(1, 5)) for _ in range(2))
    p = rng.choice([0.002, 0.05, 0.3, 0.8, 0.95, 0.999])
    q = min(1.0, max(0.0, p + rng.choice([0.0, 0.01, -0.02, 0.1])))
    PAIRS.append((int(numpy.random.default_rng(rng.getrandbits(32)).binomial(n, p)), n,
                  int(numpy.random.default_rng(rng.getrandbits(32)).binomial(m, q)), m))


def table(s, n, t, m):
    return [[s, n - s], [t, m - t]]


def wilson():
    return [([s, n], list(proportion.proportion_confint(s, n, ALPHA, "wilson"))) for s, n, _, _ in PAIRS]


def newcombe():
    made = lambda s, n, t, m: proportion.confint_proportions_2indep(
        s, n, t, m, method="newcomb", compare="diff", alpha=ALPHA, correction=False)
    return [(list(pair), [float(x) for x in made(*pair)]) for pair in PAIRS]


def two_proportions():
    made = lambda s, n, t, m: proportion.proportions_ztest([s, t], [n, m])
    usable = [pair for pair in PAIRS if 0 < pair[0] + pair[2] < pair[1] + pair[3]]
    return [(list(pair), [float(x) for x in made(*pair)]) for pair in usable]


def fisher():
    return [(list(pair), [float(stats.fisher_exact(table(*pair)).pvalue)]) for pair in PAIRS]


def mid_p():
    made = lambda s, n, t, m: stats.fisher_exact(table(s, n, t, m)).pvalue - 0.5 * stats.hypergeom.pmf(s, n + m, s + t, n)
    return [(list(pair), [float(made(*pair))]) for pair in PAIRS]


def risk_ratio():
    made = []
    for pair in PAIRS:
        if pair[0] and pair[2]:
            both = contingency_tables.Table2x2(numpy.array(table(*pair), dtype=float), shift_zeros=False)
            made.append((list(pair), [float(both.riskratio), *map(float, both.riskratio_confint(ALPHA))]))
    return made


def tails():
    scores = [0.0, 0.1, 0.5, 1.0, 1.9, 2.0, 2.9, 5.0, 8.0, 20.0, 35.0]
    normal = [([z], [float(mpmath.erfc(mpmath.mpf(z) / mpmath.sqrt(2)))]) for z in scores]
    square = [([z], [float(stats.chi2.sf(z, 1))]) for z in scores]
    student = []
    for freedom in [1.0, 2.5, 4.0, 9.0, 30.0, 77.7, 1_000.0, 123_456.0]:
        for t in [0.01, 0.5, 1.0, 2.0, 3.5, 6.0, 12.0, 30.0]:
            nu, x = mpmath.mpf(freedom), mpmath.mpf(t)
            p = mpmath.betainc(nu / 2, mpmath.mpf(1) / 2, 0, nu / (nu + x * x), regularized=True)
            student.append(([t, freedom], [float(p)]))
    return normal, square, student


def quantiles():
    return [([p, f], [float(stats.t.isf(p / 2, f))])
            for p in [0.5, 0.1, 0.05, 0.001] for f in [2.0, 5.5, 29.0, 400.0, 54_321.0]]


def welch():
    made = []
    for _ in range(20):
        sample = [numpy.round(numpy.random.default_rng(rng.getrandbits(32)).normal(rng.uniform(0, 80), rng.uniform(1, 20), rng.randint(3, 60)), 3)
                  for _ in range(2)]
        result = stats.ttest_ind(*sample, equal_var=False)
        interval = result.confidence_interval(0.95)
        made.append(([list(sample[0]), list(sample[1])],
                     [float(result.df), float(result.pvalue), float(interval.low), float(interval.high)]))
    return made


def benjamini_hochberg():
    made = []
    for size in [1, 2, 5, 18, 200]:
        p = [round(rng.random() ** 3, 6) for _ in range(size)]
        made.append((p, [float(q) for q in stats.false_discovery_control(p, method="bh")]))
    return made


def strata():
    """Cochran-Mantel-Haenszel by statsmodels; the difference by its published form."""
    made = []
    for _ in range(20):
        tables = []
        for _ in range(rng.randint(1, 6)):
            n, m = rng.randint(5, 400), rng.randint(5, 400)
            tables.append((rng.randint(0, n), n, rng.randint(0, m), m))
        test = contingency_tables.StratifiedTable([numpy.array(table(*t), dtype=float) for t in tables])
        pvalue = float(test.test_null_odds(correction=False).pvalue)
        weight = [mpmath.mpf(n) * m / (n + m) for _, n, _, m in tables]
        share = [(mpmath.mpf(s) / n, mpmath.mpf(t) / m) for s, n, t, m in tables]
        difference = sum(w * (p - q) for w, (p, q) in zip(weight, share)) / sum(weight)
        variance = sum(w**2 * (p * (1 - p) / n + q * (1 - q) / m)
                       for w, (p, q), (_, n, _, m) in zip(weight, share, tables)) / sum(weight) ** 2
        made.append(([list(t) for t in tables], [pvalue, float(difference), float(mpmath.sqrt(variance))]))
    return made


def sequence():
    made = []
    for n in [1, 10, 100, 5_000, 1_000_000]:
        for v in [0.0475, 0.25, 9.0]:
            for alpha in [0.05, 0.05 / 36]:
                a = mpmath.mpf(alpha)
                rho = mpmath.sqrt((-2 * mpmath.log(a) + mpmath.log(-2 * mpmath.log(a)) + 1) / 100)
                inner = n * mpmath.mpf(v) * rho**2 + 1
                made.append(([n, v, alpha], [float(mpmath.sqrt(inner / (n**2 * rho**2) * mpmath.log(inner / a**2)))]))
    return made


def shrinkage():
    made = []
    for _ in range(10):
        groups = [(rng.randint(0, n), n) for n in (rng.randint(5, 300) for _ in range(rng.randint(2, 20)))]
        s, n = (numpy.array(x, dtype=float) for x in zip(*groups))
        mean = numpy.average(s / n, weights=n)
        between = numpy.average((s / n - mean) ** 2, weights=n) - numpy.average(mean * (1 - mean) / n, weights=n)
        kappa = numpy.clip(mean * (1 - mean) / between - 1, 2, 1_000) if between > 0 else 1_000
        made.append(([list(g) for g in groups], [float((s[0] + mean * kappa) / (n[0] + kappa))]))
    return made


def survival():
    made = []
    for _ in range(10):
        bins = [(b, rng.randint(0, 40), rng.choice([0, 0, rng.randint(0, 10)])) for b in range(rng.randint(3, 30))]
        time, status = [], []
        for b, ended, cut in bins:
            time += [b] * (ended + cut)
            status += [1] * ended + [0] * cut
        if sum(status) == 0:
            continue
        curve = SurvfuncRight(time, status)
        for q in [0.1, 0.5, 0.9, 0.99]:
            below = [t for t, s in zip(curve.surv_times, curve.surv_prob) if s <= 1 - q + 1e-12]
            made.append(([[list(b) for b in bins], q], [float(below[0]) if below else None]))
    return made


def theil_sen():
    made = []
    for size in [5, 12, 24, 72]:
        x = [float(i * 5) for i in range(size)]
        y = [round(0.01 * a + rng.gauss(0, 0.3), rng.choice([1, 4])) for a in x]
        slope = stats.theilslopes(y, x, 0.95, method="joint")
        made.append(([x, y], [float(slope.slope), float(slope.low_slope), float(slope.high_slope)]))
    return made


def divergence():
    made = []
    for _ in range(10):
        values = [(rng.randint(0, n), n) for n in (rng.randint(1, 500) for _ in range(rng.randint(2, 12)))]
        failed = numpy.array([s for s, _ in values]) + 1e-3
        passed = numpy.array([n - s for s, n in values]) + 1e-3
        made.append(([list(v) for v in values], [float(stats.entropy(passed, failed))]))
    return made


def main():
    normal, square, student = tails()
    formulas = {
        "wilson": wilson(), "newcombe": newcombe(), "two_proportions": two_proportions(), "fisher": fisher(),
        "mid_p": mid_p(),
        "risk_ratio": risk_ratio(), "normal_two_sided": normal, "chi_square": square, "student_two_sided": student,
        "student_quantile": quantiles(), "welch": welch(), "benjamini_hochberg": benjamini_hochberg(),
        "strata": strata(), "sequence": sequence(), "shrinkage": shrinkage(), "survival": survival(),
        "theil_sen": theil_sen(), "divergence": divergence(),
    }
    made_by = {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
               "numpy": numpy.__version__, "mpmath": mpmath.__version__}
    lines = [f'"made by": {json.dumps(made_by)}']
    for name, cases in formulas.items():
        rows = ",\n  ".join(json.dumps({"in": given, "out": out}) for given, out in cases)
        lines.append(f'"{name}": [\n  {rows}\n ]')
    path = pathlib.Path(__file__).with_name("formulas.json")
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")


main()
