"""Plant secrets in realistic trajectories and count which are found; count alarms in real trajectories; measure speed.

    python benchmarks/secret_scan.py [--data FOLDER] [--show]

Secrets are drawn at run time in their provider's documented format, from parts, so that nothing that
looks like a secret stands in this file. Each kind is planted in each form (env dump, code, JSON arguments, JSON in
JSON, curl, URL,
tool output); a kind that has no format of its own (`aws secret`, `password`) only where its name stands beside it.
`--data` holds raw trajectories; every alarm in them is printed with `--show`, masked.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.personal import find_personal
from deepcoder_hf.publish.scan import scan
from deepcoder_hf.publish.secrets import secret_finder

ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
WORD = ALNUM + "-_"
Draw = Callable[[random.Random], str]


def drawn(*parts: str | tuple[int, str]) -> Draw:
    """A generator of strings: fixed parts, and (n, alphabet) for n characters."""

    def draw(rng: random.Random) -> str:
        return "".join(p if isinstance(p, str) else "".join(rng.choice(p[1]) for _ in range(p[0])) for p in parts)

    return draw


def web_token(rng: random.Random) -> str:
    """A JSON Web Token that nobody signed."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": str(rng.randrange(10**9)), "iat": 1700000000})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, drawn((43, WORD))(rng)])


def private_key(rng: random.Random) -> str:
    """The shape of a private key, without a key in it."""
    lines = "\n".join(drawn((64, ALNUM + "+/"))(rng) for _ in range(12))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


KINDS: dict[str, tuple[str, Draw]] = {
    "aws key id": ("AWS_ACCESS_KEY_ID", drawn("AK", "IA", (16, string.ascii_uppercase + "234567"))),
    "groq": ("GROQ_API_KEY", drawn("gs", "k_", (20, ALNUM), "WGdyb3FY", (24, ALNUM))),
    "openai project": ("OPENAI_API_KEY", drawn("sk", "-proj-", (74, WORD), "T3Blbk", "FJ", (74, WORD))),
    "openai": ("OPENAI_API_KEY", drawn("sk", "-", (20, ALNUM), "T3Blbk", "FJ", (20, ALNUM))),
    "anthropic": ("ANTHROPIC_API_KEY", drawn("sk", "-ant-api03-", (93, WORD), "AA")),
    "hugging face": ("HF_TOKEN", drawn("h", "f_", (34, string.ascii_letters))),
    "google": ("GOOGLE_API_KEY", drawn("AI", "za", (35, WORD))),
    "openrouter": ("OPENROUTER_API_KEY", drawn("sk", "-or-v1-", (64, HEX))),
    "xai": ("XAI_API_KEY", drawn("xa", "i-", (80, ALNUM))),
    "perplexity": ("PPLX_API_KEY", drawn("pp", "lx-", (48, ALNUM))),
    "replicate": ("REPLICATE_API_TOKEN", drawn("r", "8_", (37, ALNUM))),
    "nvidia": ("NVIDIA_API_KEY", drawn("nv", "api-", (64, WORD))),
    "together": ("TOGETHER_API_KEY", drawn("tg", "p_v1_", (43, WORD))),
    "tavily": ("TAVILY_API_KEY", drawn("tv", "ly-dev-", (32, ALNUM))),
    "langsmith": ("LANGSMITH_API_KEY", drawn("lsv2", "_pt_", (32, HEX), "_", (10, HEX))),
    "wandb": ("WANDB_API_KEY", drawn("wan", "db_v1_", (77, ALNUM))),
    "github classic": ("GITHUB_TOKEN", drawn("gh", "p_", (36, ALNUM))),
    "github fine-grained": ("GH_TOKEN", drawn("github", "_pat_", (22, ALNUM), "_", (59, ALNUM))),
    "gitlab": ("GITLAB_TOKEN", drawn("gl", "pat-", (20, ALNUM))),
    "slack bot": ("SLACK_TOKEN", drawn("xo", "xb-", (12, "123456789"), "-", (13, "123456789"), "-", (24, ALNUM))),
    "slack webhook": (
        "SLACK_URL",
        drawn("https://hooks.sl", "ack.com/services/T", (10, UPPER), "/B", (10, UPPER), "/", (24, ALNUM)),
    ),
    "stripe": ("STRIPE_KEY", drawn("sk", "_live_", (24, ALNUM))),
    "sendgrid": ("SENDGRID_API_KEY", drawn("S", "G.", (22, WORD), ".", (43, WORD))),
    "twilio": ("TWILIO_API_KEY", drawn("S", "K", (32, HEX))),
    "npm": ("NPM_TOKEN", drawn("np", "m_", (36, ALNUM))),
    "pypi": ("PYPI_TOKEN", drawn("py", "pi-AgEIcHlwaS5vcmc", (150, WORD))),
    "json web token": ("SESSION_TOKEN", web_token),
    "telegram": ("TELEGRAM_TOKEN", drawn((10, "123456789"), ":AA", (33, WORD))),
    "discord": ("DISCORD_TOKEN", drawn("M", (23, ALNUM), ".", (6, ALNUM), ".", (27, ALNUM))),
    "mailchimp": ("MAILCHIMP_KEY", drawn((32, HEX), "-us12")),
    "square": ("SQUARE_SECRET", drawn("sq0", "csp-", (43, ALNUM))),
    "azure storage": ("AZURE_CONNECTION", drawn("AccountName=a;Account", "Key=", (86, ALNUM + "+/"), "==")),
    "private key": ("DEPLOY_KEY", private_key),
    "postgres url": ("DATABASE_URL", drawn("postgres://app:", (18, ALNUM), "@db.internal.corp:5432/prod")),
    "mongodb url": ("MONGO_URL", drawn("mongodb+srv://svc:", (16, ALNUM), "@cluster0.ab1cd.mongodb.net/x")),
    "digitalocean": ("DO_TOKEN", drawn("dop", "_v1_", (64, HEX))),
    "databricks": ("DATABRICKS_TOKEN", drawn("da", "pi", (32, HEX))),
    "shopify": ("SHOPIFY_TOKEN", drawn("shp", "at_", (32, HEX))),
    "docker hub": ("DOCKERHUB_TOKEN", drawn("dckr", "_pat_", (27, WORD))),
    "vault": ("VAULT_TOKEN", drawn("hv", "s.", (92, ALNUM))),
    "notion": ("NOTION_TOKEN", drawn("nt", "n_", (11, string.digits), (35, ALNUM))),
    "linear": ("LINEAR_API_KEY", drawn("lin", "_api_", (40, ALNUM))),
    "aws secret": ("AWS_SECRET_ACCESS_KEY", drawn((40, ALNUM + "+/"))),
    "cohere": ("COHERE_API_KEY", drawn((40, ALNUM))),
    "mistral": ("MISTRAL_API_KEY", drawn((32, ALNUM))),
    "password": ("DB_PASSWORD", drawn((6, string.ascii_lowercase), (4, string.digits), (4, string.ascii_uppercase))),
}
"""Kind -> name of its variable, and how one is drawn."""
NAMED_ONLY = ("aws secret", "cohere", "mistral", "password")
"""Nothing but a name beside it tells these from a hash."""
FORMS: dict[str, Callable[[str, str], str]] = {
    "env dump": lambda name, value: f"$ env\nPATH=/usr/bin\n{name}={value}\nLANG=C.UTF-8\n",
    "code": lambda name, value: f'import os\n{name} = """{value}"""\n' if "\n" in value else f'{name} = "{value}"\n',
    "json arguments": lambda name, value: json.dumps(
        {"name": "bash", "arguments": {"command": f"export {name}={value}\nls"}}
    ),
    "json in json": lambda name, value: json.dumps({"arguments": json.dumps({"cmd": f'cat .env\n{name}="{value}"\n'})}),
    "curl": lambda name, value: f"curl -s https://api.host/v1 -H 'Authorization: Bearer {value}' | jq .",
    "url": lambda name, value: f'"GET /v1/items?page=2&key={value}&limit=10 HTTP/1.1" 200 512',
    "tool output": lambda name, value: f"I read the file. The value is {value} and it works.",
}
NAMED_FORMS = ("env dump", "code", "json arguments", "json in json")
TRAJECTORY = (
    "Thought: I look at the configuration first.\nAction: read\nObservation: {}\nThought: Done.\nAction: finish[ok]"
)


def planted(seed: int) -> list[tuple[str, str, str, str]]:
    """(kind, form, secret, trajectory) of every kind in every form that it can be told in."""
    rng = random.Random(seed)
    made = []
    for kind, (name, draw) in KINDS.items():
        for form, write in FORMS.items():
            if kind not in NAMED_ONLY or form in NAMED_FORMS:
                secret = draw(rng)
                made.append((kind, form, secret, TRAJECTORY.format(write(name, secret))))
    return made


def is_found(secret: str, text: str) -> bool:
    """Whether the last dozen characters of a secret (of the password, in a URL) lie in what is found."""
    core = max(secret.split("\n"), key=len)
    if "@" in core:
        core = core.partition("://")[2].partition(":")[2].partition("@")[0]
    at = text.index(core[-12:])
    return any(hit.start < at + len(core[-12:]) and at < hit.end for hit in secret_finder().find(text))


def report_planted(repeats: int) -> None:
    """Print how many planted secrets were found."""
    trials = [one for seed in range(repeats) for one in planted(seed)]
    missed = Counter((kind, form) for kind, form, secret, text in trials if not is_found(secret, text))
    n_found = len(trials) - missed.total()
    print(f"planted {len(trials)} secrets of {len(KINDS)} kinds in {len(FORMS)} forms: {n_found} found")
    for (kind, form), n_missed in missed.most_common():
        print(f"  missed {kind} in {form}: {n_missed} of {repeats}")


def report_real(folder: Path, show: bool) -> None:
    """Print alarms and speed on real trajectories."""
    with tempfile.TemporaryDirectory() as scratch:
        TrajectoryProcessor({}).process_files(str(folder), Path(scratch) / "rows.parquet")
        rows = Dataset.from_parquet(str(Path(scratch) / "rows.parquet"), features=SAD_FEATURES, cache_dir=scratch)
        secret_finder().find("")
        texts = rows["text"][:]
        n_bytes = sum(len(text.encode()) for text in texts)
        for name, find in (("secrets", secret_finder().find), ("personal data", find_personal)):
            began = time.process_time()
            for text in texts:
                find(text)
            print(f"{name}: {n_bytes / 1e6 / (time.process_time() - began):.1f} MB of text per CPU-second")
        began = time.process_time()
        report = scan(Bundle({"train": rows}))
        seconds = time.process_time() - began
        print(f"whole scan: {report.n_bytes / 1e6 / seconds:.1f} MB of rows per CPU-second, ids decoded and compared")
        for kind in ("secret", "personal"):
            found = report.of(kind)  # type: ignore[arg-type]
            n_rows = len({finding.place.rpartition(":")[0] for finding in found})
            rules = dict(Counter(finding.rule for finding in found).most_common())
            print(f"{kind}: {n_rows} of {len(rows)} rows, {1000 * n_rows / len(rows):.1f} in 1,000; findings {rules}")
            for finding in {finding.digest: finding for finding in found}.values() if show else ():
                print(f"  {finding.place}  {finding.rule}: {finding.excerpt}")


if __name__ == "__main__":
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "trajectories"
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=beside if beside.is_dir() else None)
    arguments.add_argument("--repeats", type=int, default=20)
    arguments.add_argument("--show", action="store_true")
    given = arguments.parse_args()
    report_planted(given.repeats)
    if given.data:
        report_real(given.data, given.show)
