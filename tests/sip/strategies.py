"""Hypothesis strategies for the values of sofw.sip."""

from __future__ import annotations

from hypothesis import strategies as st

from sofw.credentials import quote
from sofw.sip.fields import NameAddr, Via
from sofw.sip.grammar import Params
from sofw.sip.headers import Headers
from sofw.sip.message import Request, Response
from sofw.sip.uri import Uri

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#: Text as it stands in a header: any character but line breaks, and any byte that is not UTF-8.
any_text = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n")
    | st.sampled_from([chr(code) for code in range(0xDC80, 0xDD00)]),
    max_size=12,
).map(lambda text: text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))
tokens = st.text(LETTERS + "-.!%*_+`'~", min_size=1, max_size=12)
ports = st.none() | st.integers(0, 65535)
hosts = (
    st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(str)
    | st.text(LETTERS + "-_", min_size=1, max_size=9).map("{}.example.com".format)
)


def _params(values: st.SearchStrategy[str]) -> st.SearchStrategy[Params]:
    return st.lists(st.tuples(tokens, st.none() | values), max_size=3).map(tuple)


header_params = _params(tokens | any_text.map(quote))
uri_params = _params(st.text(LETTERS + "-_.!~*'()[]/:&+$%", max_size=9))
sip_uris = st.builds(
    Uri,
    st.sampled_from(["sip", "sips"]),
    st.none() | st.text(LETTERS + "-_.!~*'()&=+$,;?/%#", min_size=1, max_size=12),
    st.none(),
    hosts,
    ports,
    uri_params,
    st.text(LETTERS + "-_.!~*'()[]/?:+$&=%", max_size=9),
)
with_password = st.builds(Uri, st.just("sip"), tokens, st.text(LETTERS + "&=+$,", max_size=9), hosts, ports)
opaque_uris = st.builds(
    Uri, st.sampled_from(["tel", "urn", "http"]), st.text(LETTERS + "-+;=:/@.", min_size=1, max_size=12)
)
uris = sip_uris | with_password | opaque_uris
name_addrs = st.builds(NameAddr, any_text, uris, header_params)
vias = st.builds(Via, tokens.map(str.upper), hosts, ports, header_params)

_unknown_names = st.text(LETTERS, min_size=1, max_size=9).map("X-{}".format)
_fields = st.tuples(_unknown_names, any_text.map(lambda text: text.strip(" \t")))
_headers = st.lists(_fields, max_size=5).map(lambda fields: Headers(tuple(fields)))
_bodies = st.binary(max_size=30)
requests = st.builds(Request, tokens, sip_uris.map(str), _headers, _bodies)
responses = st.builds(Response, st.integers(100, 699), any_text, _headers, _bodies)
messages = requests | responses
