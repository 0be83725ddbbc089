"""What a column's name says of the things that its values number: rows, customers, branches, regions."""

import re

_WORDS = re.compile("[A-ZÀ-Þ]+(?=[A-ZÀ-Þ][a-zß-ÿ])|[A-ZÀ-Þ]?[a-zß-ÿ]+|[A-ZÀ-Þ]+|[0-9]+")
_IDENTIFIER_WORDS = frozenset(
    {"id", "ids", "uuid", "guid", "key", "identifier", "kennung", "identificador", "identificativo"}
)
_NUMBER_WORDS = frozenset(
    {
        "nr",
        "no",
        "number",
        "num",
        "ref",
        "reference",
        "nummer",
        "numero",
        "número",
        "numéro",
        "numer",
        "číslo",
    }
)
_THING_WORDS = frozenset(
    {"loan", "account", "acct", "acc", "customer", "client", "application", "app", "contract", "case", "deal"}
    | {"member", "applicant", "borrower", "kredit", "konto", "kunden", "kunde", "vertrag", "antrag", "prêt"}
    | {"pret", "dossier", "compte", "contrat", "contrato", "cuenta", "conta", "cliente", "prestito", "conto"}
    | {"pratica", "contratto", "credit", "file", "record", "row", "invoice", "policy", "card", "préstamo"}
)
_CASE_WORDS = frozenset(
    {"account", "application", "contract", "case", "deal", "dossier", "file", "record", "invoice", "policy"}
    | {"request", "serial", "reference", "vorgang", "aktenzeichen", "antrag", "vertrag", "konto", "akte"}
    | {"demande", "contrat", "compte", "solicitud", "expediente", "contrato", "cuenta", "pedido", "processo"}
    | {"solicitação", "solicitacao", "proposta", "conta", "pratica", "domanda", "richiesta", "contratto"}
    | {"conto", "wniosek", "wniosku", "umowa", "umowy", "rachunek", "žádost", "zadost", "smlouva", "účet"}
    | {"customer", "client", "member", "kunde", "cliente", "klient"}
    | {"ticket", "submission", "gesuch", "ansuchen", "anfrage", "requête", "requete", "instance", "affaire"}
    | {"trámite", "tramite", "gestión", "caso", "requerimento", "protocolo", "protocollo", "istanza"}
    | {"fascicolo"}
)
"""What numbers that are given out stand for; only a hint where the values leave a doubt."""
_PERSON_WORDS = frozenset(
    {"customer", "client", "member", "applicant", "borrower", "person", "debtor", "ssn", "cust"}
    | {"kunde", "kunden", "antragsteller", "klient", "cliente", "emprunteur", "persona", "pessoa"}
)
_ORGANISATION_WORDS = frozenset(
    {
        "agency",
        "agent",
        "branch",
        "dealer",
        "store",
        "shop",
        "merchant",
        "broker",
        "office",
        "seller",
        "vendor",
    }
    | {"bank", "product", "campaign", "team", "district", "region", "area", "partner", "channel", "supplier"}
    | {
        "filiale",
        "händler",
        "haendler",
        "vermittler",
        "produkt",
        "agence",
        "succursale",
        "magasin",
    }
    | {"agencia", "sucursal", "oficina", "tienda", "producto", "agência", "loja", "filial", "produto"}
    | {"agenzia", "negozio", "sportello", "prodotto", "oddział", "oddzial", "placówka", "sklep", "pobočka"}
)
_CODE_WORDS = frozenset({"id", "ids", "code", "codigo", "código", "codice", "kennziffer", "schlüssel"})
_REGION_WORDS = frozenset(
    {"zip", "zipcode", "postcode", "postal", "postalcode", "plz", "cep", "sic", "naics", "mcc", "fips"}
    | {"employer", "arbeitgeber", "employeur", "empregador", "empleador", "city", "town", "county", "region"}
)


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column name in lower case: "LoanID" and "loan_id" are both loan, id."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def names_identifier(name: str) -> bool:
    """Whether a name says that the column names things: id, LoanID, customer_uuid, LoanNr, account number."""
    words = words_of(name)
    if not _IDENTIFIER_WORDS.isdisjoint(words):
        return True
    # "number_of_accounts" is a count.
    first = words[0] in _NUMBER_WORDS - {"number", "num"} if words else False
    at_an_end = first or (bool(words) and words[-1] in _NUMBER_WORDS)
    joined = any(name.lower().endswith(end) for end in ("nummer", "number", "_no", "_nr"))
    return joined or (at_an_end and (len(words) == 1 or not _THING_WORDS.isdisjoint(words)))


def names_organisation(name: str) -> bool:
    """Whether a name is that of a merchant, dealer or branch, each of whom has many customers."""
    words = words_of(name)
    return not _ORGANISATION_WORDS.isdisjoint(words) and _THING_WORDS.isdisjoint(words)


def names_code(name: str) -> bool:
    """Whether a name says that numbers in the column are codes: a branch id, a postcode, an industry code."""
    words = words_of(name)
    of_whom = not _ORGANISATION_WORDS.isdisjoint(words) or "nummer" in name.lower()
    is_numbered = len(words) > 1 and (words[-1] in _NUMBER_WORDS or words[0] in {"nr", "no", "n"})
    is_code = not _CODE_WORDS.isdisjoint(words) or (is_numbered and of_whom)
    return is_code or names_region(name) or (names_organisation(name) and names_identifier(name))


def names_person(name: str) -> bool:
    """Whether a name is that of a person: customer_id, BorrowerNumber."""
    return not _PERSON_WORDS.isdisjoint(words_of(name))


def names_thing(name: str) -> bool:
    """Whether a name is that of a case or a person: request, konto, n° dossier; of its number, perhaps."""
    return not _CASE_WORDS.isdisjoint(words_of(name))


def names_region(name: str) -> bool:
    """Whether a name says that the column holds regions, employers or industries, which never name a row."""
    return not _REGION_WORDS.isdisjoint(words_of(name))
