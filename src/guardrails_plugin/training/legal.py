"""The classes of the ``legal`` detector: multinomial logistic regression over hashed words, in numpy.

Real texts: licences and privacy policies (``terms_of_service``), case summaries (``legal_law``), and ordinary prose,
mail, code and tool output (``other``). No real contracts are at hand: ``contracts`` and ``nda`` are composed here from
clauses written for this project, filled at random, so that their numbers on composed texts say little.
"""

# ruff: noqa: E501 - a clause a line
from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guardrails_plugin.detectors.legal_model import BUCKETS, features, pack

__all__ = ["CLASSES", "compose", "fit", "main", "read"]

CLASSES = ("contracts", "legal_law", "nda", "other", "terms_of_service")
_BY_CATEGORY = {"licence_text": "terms_of_service", "privacy_policy": "terms_of_service", "case_summary": "legal_law"}
_COMPOSED = 700

_PARTIES = (
    "the Supplier|the Customer", "the Contractor|the Client", "the Landlord|the Tenant", "the Employer|the Employee",
    "the Seller|the Buyer", "the Company|the Consultant", "the Lender|the Borrower", "the Licensor|the Licensee",
    "the Vendor|the Purchaser", "the Agency|the Artist",
)  # fmt: skip
_CONTRACT = """\
This Agreement is entered into as of {date} by and between {a} and {b}, each a party and together the parties.
{A} shall provide the services described in Schedule {n} in a professional and workmanlike manner.
{B} shall pay to {a} a fee of {money} within {n} days after receipt of each invoice.
This Agreement shall commence on {date} and shall continue for a term of {n} months unless terminated earlier.
Either party may terminate this Agreement upon {n} days' prior written notice to the other party.
{A} represents and warrants that it has full power and authority to enter into this Agreement.
{B} shall indemnify, defend and hold harmless {a} from and against any claims, losses and damages arising out of a breach.
In no event shall either party be liable for indirect or consequential damages under this Agreement.
This Agreement constitutes the entire agreement between the parties and supersedes all prior understandings.
No amendment of this Agreement shall be effective unless made in writing and signed by both parties.
If any provision of this Agreement is held invalid, the remaining provisions shall remain in full force and effect.
This Agreement shall be governed by and construed in accordance with the laws of {place}.
Neither party may assign its rights or obligations hereunder without the prior written consent of the other party.
Any notice required hereunder shall be in writing and delivered to the address set forth above.
IN WITNESS WHEREOF, the parties hereto have executed this Agreement as of the date first written above.
{B} agrees to keep the premises in good repair and to pay the rent of {money} on the first day of each month.
The security deposit of {money} shall be returned within {n} days of the end of the lease.
The Employee's base salary shall be {money} per year, payable in accordance with ordinary payroll practice.
{A} shall deliver the goods to the place of delivery on or before {date}; risk passes to {b} upon delivery.
Title to the goods shall remain with {a} until payment of the purchase price in full.
{A} shall be an independent contractor and nothing herein shall create a partnership or employment relationship.
Late payments shall bear interest at the rate of {n} percent per annum.
Upon an event of default {a} may declare all amounts outstanding immediately due and payable.
The parties shall attempt to resolve any dispute by negotiation before commencing arbitration in {place}.
{A} shall maintain insurance with cover of not less than {money} for the duration of the contract.
A party is not in breach for delay caused by events beyond its reasonable control, including fire, flood and strike.
The failure of {b} to enforce any right under this contract shall not be a waiver of that right.
During the term and for {n} months thereafter {b} shall not solicit employees of {a}.""".splitlines()
_NDA = """\
This Non-Disclosure Agreement is made on {date} between {a} (the Disclosing Party) and {b} (the Receiving Party).
Confidential Information means all information disclosed by the Disclosing Party, whether orally, in writing or by sight.
The Receiving Party shall hold the Confidential Information in strict confidence and shall not disclose it to any third party.
The Receiving Party shall use the Confidential Information solely for the Purpose of evaluating a business relationship.
Confidential Information does not include information which is or becomes publicly known through no fault of the recipient.
The Receiving Party may disclose Confidential Information to its employees and advisers on a need to know basis.
Upon request the Receiving Party shall promptly return or destroy all Confidential Information and copies thereof.
The obligations of confidentiality shall survive for a period of {n} years after the date of disclosure.
If disclosure is required by law or court order, the recipient shall give prompt notice so that protection may be sought.
No licence under any patent, trade secret or copyright is granted by the disclosure of Confidential Information.
The parties acknowledge that a breach of confidentiality may cause irreparable harm for which damages are no remedy.
The Disclosing Party shall be entitled to injunctive relief in addition to all other remedies.
All Confidential Information remains the property of the Disclosing Party.
The recipient shall protect the trade secrets with at least the same degree of care it uses for its own.
Neither party shall disclose the existence or content of the discussions without the consent of the other party.
This mutual confidentiality agreement shall be governed by the laws of {place}.
The Receiving Party shall not reverse engineer any samples or prototypes disclosed under this agreement.
Information independently developed without use of the confidential information is not subject to this NDA.""".splitlines()
_LAW = """\
Section {n}. A person who contravenes this section commits an offence and is liable on conviction to a fine.
The court held that the statute does not apply retroactively and affirmed the judgment below.
The plaintiff filed a complaint alleging violations of the Fourteenth Amendment and sought declaratory relief.
For the purposes of this Act, the Minister may by regulation prescribe the form of an application.
The defendant moved for summary judgment; the motion was granted in part and denied in part.
The appellant submits that the tribunal erred in law in its construction of paragraph {n} of the Regulations.
Member States shall take the measures necessary to comply with this Directive by {date}.
Subsection ({n}) does not affect any right of appeal conferred by another enactment.
The jury returned a verdict for the respondent and the judge entered judgment accordingly.
An order under this Article shall be made by statutory instrument and laid before Parliament.""".splitlines()


def compose(clauses: Sequence[str], chooser: random.Random) -> str:
    """A text of some of the clauses, filled in."""
    first, second = chooser.choice(_PARTIES).split("|")
    if chooser.random() < 0.5:
        first, second = second, first
    chosen = [clause for clause in clauses if chooser.random() < chooser.choice((0.2, 0.4, 0.7))]
    if chooser.random() < 0.5:
        chooser.shuffle(chosen)
    chosen = chosen or chooser.sample(list(clauses), 3)
    text = "\n".join(
        (f"{number}. " if chooser.random() < 0.5 else "") + clause for number, clause in enumerate(chosen, 1)
    )
    values = {
        "a": first, "b": second, "A": first.capitalize(), "B": second.capitalize(), "n": str(chooser.randint(2, 90)),
        "money": f"{chooser.choice('$€£')}{chooser.randint(1, 900)},000",
        "date": f"{chooser.randint(1, 28)} {chooser.choice(('January', 'March', 'June', 'October'))} 20{chooser.randint(10, 30)}",
        "place": chooser.choice(("the State of New York", "England and Wales", "Ontario", "Ireland", "California")),
    }  # fmt: skip
    return text.format(**values)


def read(path: Path, split: str) -> list[tuple[str, str]]:
    """Class and text of one split of the labelled rows, and for training the composed ones."""
    found: list[tuple[str, str]] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found += [(_class(row), row["text"]) for row in map(json.loads, file) if row["split"] == split]
    if split == "train":
        chooser = random.Random(7)
        for name, clauses in (("contracts", _CONTRACT), ("nda", _NDA), ("legal_law", _LAW)):
            found += [(name, compose(clauses, chooser)) for _ in range(_COMPOSED)]
    return found


def _class(row: dict[str, Any]) -> str:
    return _BY_CATEGORY.get(row["category"], "other") if row["label"] else "other"


def fit(rows: Iterable[tuple[str, str]], *, epochs: int = 12, decay: float = 1e-5, seed: int = 1) -> tuple[Any, Any]:
    """Weights and bias by Adagrad (Duchi et al., 2011) on the softmax loss; classes weigh alike."""
    data = [(CLASSES.index(name), *features(text)) for name, text in rows]
    counts = np.bincount([number for number, _, _ in data], minlength=len(CLASSES))
    shares = counts.sum() / (len(CLASSES) * np.maximum(counts, 1)) ** 0.5 / counts.sum() ** 0.5
    weights, bias = np.zeros((BUCKETS, len(CLASSES))), np.zeros(len(CLASSES))
    squares, bias_squares = np.full_like(weights, 1e-2), np.full_like(bias, 1.0)
    chooser = random.Random(seed)
    for _ in range(epochs):
        chooser.shuffle(data)
        for number, buckets, values in data:
            scores = values @ weights[buckets] + bias
            error = np.exp(scores - scores.max())
            error /= error.sum()
            error[number] -= 1
            error *= shares[number]
            step = np.outer(values, error) + decay * weights[buckets]
            squares[buckets] += step**2
            bias_squares += error**2
            weights[buckets] -= 0.3 * step / np.sqrt(squares[buckets])
            bias -= 0.1 * error / np.sqrt(bias_squares)
    return weights, bias


def main(arguments: list[str] | None = None) -> None:
    """Train on the labelled rows and write the model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    weights, bias = fit(read(options.rows, "train"))
    np.savez_compressed(options.out, **pack(CLASSES, weights, bias))


if __name__ == "__main__":
    main()
