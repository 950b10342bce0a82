"""The registrar: RFC 3261 §10.3 as tables of cases."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.sip.headers import Headers
from sofw.sip.message import Request, SipError
from sofw.sip.registrar import Binding, Limits, Registrar, TooBrief, contact_value
from sofw.sip.uri import parse_uri

AOR = "alice@example.com"
NOW = 1000.0
TOKYO = Flow("tokyo", Transport.UDP, Address("192.168.1.10", 5060), 5060)
OSAKA = Flow("osaka", Transport.UDP, Address("192.168.1.10", 5060), 5060)
TCP = Flow(OUTSIDE, Transport.TCP, Address("203.0.113.20", 40001), 5060)
PHONE = "<sip:alice@192.168.1.10:5060>"


def register(*contacts: str, cseq: int = 1, call_id: str = "c", **headers: str) -> Request:
    """A REGISTER with these Contact values."""
    fields = [
        ("Via", "SIP/2.0/UDP 192.168.1.10;branch=z9hG4bKx"),
        ("From", f"<sip:{AOR}>;tag=a"),
        ("To", f"<sip:{AOR}>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
        *(("Contact", contact) for contact in contacts),
        *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]
    return Request("REGISTER", "sip:example.com", Headers(tuple(fields)))


class Case(SynchronousTestCase):
    """A fresh registrar."""

    def setUp(self) -> None:
        self.registrar = Registrar(Limits())

    def say(
        self, *contacts: str, flow: Flow = TOKYO, now: float = NOW, **rest: object
    ) -> tuple[Binding, ...]:
        """Register and return what stands."""
        return self.registrar.register(AOR, register(*contacts, **rest), flow, now)

    def contacts(self, now: float = NOW) -> list[str]:
        """The contacts that stand."""
        return [binding.contact for binding in self.registrar.lookup(AOR, now)]


class Intervals(Case):
    """How long a binding lives."""

    def test_table(self) -> None:
        """Parameter before header before default, within the bounds; malformed is as absent (§10.2.1.1)."""
        cases: list[tuple[str, str | None, float]] = [
            ("", None, 3600),
            (";expires=600", None, 600),
            ("", "700", 700),
            (";expires=600", "700", 600),
            (";expires=60", None, 60),
            (";expires=100000", None, 7200),
            ("", "4294967295", 7200),
            (";expires=soon", "700", 700),
            (";expires=soon", "soon", 3600),
            (";expires=99999999999999999999", None, 3600),
            (";EXPIRES=600", None, 600),
        ]
        for parameter, header, seconds in cases:
            with self.subTest(parameter=parameter, header=header):
                self.setUp()
                headers = {} if header is None else {"Expires": header}
                (binding,) = self.say(PHONE + parameter, **headers)
                self.assertEqual(binding.expires - NOW, seconds)

    def test_too_brief(self) -> None:
        """1 to 59 seconds: 423 with what is allowed, and nothing has changed."""
        for seconds in (1, 59):
            error = self.assertRaises(TooBrief, self.say, f"{PHONE};expires={seconds}")
            self.assertEqual((error.status, error.shortest), (423, 60))
        self.assertEqual(self.contacts(), [])

    def test_expiry(self) -> None:
        """A binding is gone at its time, also before the sweep tells which records changed."""
        self.say(f"{PHONE};expires=60", "<sip:alice@10.0.0.1>;expires=600")
        self.assertEqual(len(self.contacts(NOW + 59.9)), 2)
        self.assertEqual(self.contacts(NOW + 60), ["sip:alice@10.0.0.1"])
        self.assertEqual(self.registrar.expire(NOW + 60), [AOR])
        self.assertEqual(self.registrar.expire(NOW + 60), [])
        self.assertEqual(self.registrar.expire(NOW + 600), [AOR])
        self.assertEqual((self.registrar.all(NOW), self.registrar._places), ([], {}))

    def test_zero_removes_one(self) -> None:
        """`expires=0` takes back that contact only; of one that is not there too."""
        self.say(PHONE, "<sip:alice@10.0.0.1>")
        self.say(f"{PHONE};expires=0", cseq=2)
        self.assertEqual(self.contacts(), ["sip:alice@10.0.0.1"])
        self.say("<sip:alice@10.9.9.9>;expires=0", cseq=3)
        self.assertEqual(self.contacts(), ["sip:alice@10.0.0.1"])
        self.say("<sip:alice@10.0.0.1>", cseq=4, Expires="0")
        self.assertEqual(self.contacts(), [])


class Rules(Case):
    """What may be changed, and in which order."""

    def test_fetch(self) -> None:
        """A REGISTER without Contact only asks."""
        self.say(PHONE)
        self.assertEqual(len(self.say(cseq=2)), 1)

    def test_star(self) -> None:
        """`*` only alone, only with Expires 0 (§10.3 step 6)."""
        self.say(PHONE)
        for contacts, headers in (
            (("*",), {}),
            (("*",), {"Expires": "60"}),
            (("*", PHONE), {"Expires": "0"}),
            (("*", "*"), {"Expires": "0"}),
        ):
            with self.subTest(contacts=contacts, headers=headers):
                error = self.assertRaises(SipError, self.say, *contacts, cseq=9, **headers)
                self.assertEqual((error.status, len(self.contacts())), (400, 1))
        self.assertEqual(self.say("*", cseq=9, Expires="0"), ())
        self.assertEqual(self.registrar._places, {})

    def test_order(self) -> None:
        """Same Call-ID: only a higher CSeq (§10.3 step 7); another Call-ID: the phone has restarted."""
        self.say(PHONE, cseq=5)
        for contacts, headers in (((PHONE,), {}), ((f"{PHONE};expires=0",), {}), (("*",), {"Expires": "0"})):
            for cseq in (4, 5):
                with self.subTest(contacts=contacts, cseq=cseq):
                    error = self.assertRaises(SipError, self.say, *contacts, cseq=cseq, **headers)
                    self.assertEqual((error.status, len(self.contacts())), (500, 1))
        self.say(PHONE, cseq=6)
        (binding,) = self.say(PHONE, cseq=1, call_id="restarted")
        self.assertEqual((binding.call_id, binding.cseq), ("restarted", 1))

    def test_contact_that_stands_twice(self) -> None:
        """The last of them counts; it is no REGISTER out of order."""
        (binding,) = self.say(f"{PHONE};expires=600", f"{PHONE};expires=700")
        self.assertEqual(binding.expires, NOW + 700)

    def test_all_or_nothing(self) -> None:
        """One bad contact, and none is taken."""
        self.assertRaises(TooBrief, self.say, "<sip:alice@10.0.0.1>", f"{PHONE};expires=1")
        self.assertEqual(self.contacts(), [])

    def test_limit(self) -> None:
        """So many contacts and no more; refreshing and expired ones do not count."""
        many = [f"<sip:alice@10.0.0.{number}>;expires=60" for number in range(10)]
        self.say(*many)
        error = self.assertRaises(SipError, self.say, PHONE, cseq=2)
        self.assertEqual(error.status, 403)
        self.say(*many, cseq=3)
        self.assertEqual(len(self.say(PHONE, cseq=4, now=NOW + 61)), 1)

    def test_q_order(self) -> None:
        """Best first; without q it is 1, nonsense too, and it stays within 0 and 1."""
        contacts = [
            f"<sip:alice@10.0.0.{number}>{q}"
            for number, q in enumerate((";q=0.2", "", ";q=0.7", ";q=much", ";q=-3", ";q=nan"))
        ]
        found = self.say(*contacts)
        hosts = [(binding.contact[-1], binding.q) for binding in found]
        self.assertEqual(hosts, [("1", 1), ("3", 1), ("2", 0.7), ("0", 0.2), ("4", 0), ("5", 0)])
        self.assertEqual(found, self.registrar.lookup(AOR, NOW))

    def test_same_contact(self) -> None:
        """What refreshes a binding, and what is another one."""
        instance = ';+sip.instance="<urn:uuid:1>"'
        cases = [
            ("the same", PHONE, TOKYO, PHONE, TOKYO, 1),
            ("an equal URI", PHONE, TOKYO, "<sip:%61lice@192.168.1.10:5060>", TOKYO, 1),
            ("another user", PHONE, TOKYO, "<sip:alice2@192.168.1.10:5060>", TOKYO, 2),
            ("another port", PHONE, TOKYO, "<sip:alice@192.168.1.10:5062>", TOKYO, 2),
            ("another transport", PHONE, TOKYO, "<sip:alice@192.168.1.10:5060;transport=tcp>", TOKYO, 2),
            ("another site", PHONE, TOKYO, PHONE, OSAKA, 2),
            (
                "another connection of one instance (RFC 5626 §6)",
                f"{PHONE}{instance};reg-id=1",
                TOKYO,
                f"<sip:alice@203.0.113.20>{instance};reg-id=1",
                TCP,
                1,
            ),
            (
                "a second flow of one instance",
                f"{PHONE}{instance};reg-id=1",
                TOKYO,
                f"{PHONE}{instance};reg-id=2",
                TOKYO,
                2,
            ),
            ("an instance without reg-id", f"{PHONE}{instance}", TOKYO, PHONE, TOKYO, 1),
        ]
        for name, old, old_flow, new, new_flow, count in cases:
            with self.subTest(name):
                self.setUp()
                self.say(old, flow=old_flow)
                found = self.say(new, flow=new_flow, cseq=2)
                self.assertEqual((len(found), found[-1].flow), (count, new_flow))

    def test_what_a_binding_keeps(self) -> None:
        """Everything that is needed to reach the phone, and to tell it."""
        instance = ';+sip.instance="<urn:uuid:1>";reg-id=3;q=0.5'
        (binding,) = self.say(PHONE + instance, User_Agent="baresip", Path="<sip:p1;lr>", flow=TCP)
        expected = Binding(
            "sip:alice@192.168.1.10:5060",
            NOW + 3600,
            "c",
            1,
            0.5,
            TCP,
            ("<sip:p1;lr>",),
            "<urn:uuid:1>",
            3,
            "baresip",
        )
        self.assertEqual(binding, expected)
        told = '<sip:alice@192.168.1.10:5060>;expires=3540;q=0.5;+sip.instance="<urn:uuid:1>"'
        self.assertEqual(contact_value(binding, NOW + 60), told)
        self.assertIn(";expires=0", contact_value(binding, NOW + 9999))


class Places(Case):
    """Bindings found by contact and by flow."""

    def find(self, contact: str, leg: str, now: float = NOW) -> Binding | None:
        """The binding of that contact, seen from that leg."""
        return self.registrar.find_contact(parse_uri(contact), leg, now)

    def test_find_contact_prefers_its_own_leg(self) -> None:
        """Two sites use one private address."""
        self.say(PHONE)
        self.registrar.register("dave@example.com", register(PHONE), OSAKA, NOW)
        for leg, flow in (("tokyo", TOKYO), ("osaka", OSAKA)):
            found = self.find("sip:alice@192.168.1.10:5060", leg)
            self.assertEqual(found and found.flow, flow)
        self.assertIsNotNone(self.find("sip:alice@192.168.1.10:5060", OUTSIDE))

    def test_find_contact_by_equality(self) -> None:
        """As RFC 3261 §19.1.4 compares, and only while it lives."""
        self.say("<sip:Alice@host.example:5060;ob>;expires=60")
        cases = [
            ("sip:Alice@host.example:5060;ob", True),
            ("sip:Alice@HOST.example:5060", True),
            ("sip:%41lice@host.example:5060", True),
            ("sip:alice@host.example:5060", False),
            ("sip:Alice@host.example", False),
            ("sip:Alice@host.example:5060;transport=tcp", False),
            ("sips:Alice@host.example:5060", False),
            ("tel:123", False),
        ]
        for contact, found in cases:
            with self.subTest(contact):
                self.assertEqual(self.find(contact, "tokyo") is not None, found)
        self.assertIsNone(self.find("sip:Alice@host.example:5060", "tokyo", NOW + 60))

    def test_flow_closed(self) -> None:
        """What lived on a connection goes with it, for each user on it; the rest stays."""
        self.say(PHONE)
        self.say("<sip:alice@203.0.113.20>", flow=TCP, cseq=2)
        self.registrar.register("bob@example.com", register("<sip:bob@203.0.113.20>"), TCP, NOW)
        self.assertEqual(self.registrar.flow_closed(TCP), [AOR, "bob@example.com"])
        self.assertEqual(self.registrar.flow_closed(TCP), [])
        self.assertEqual([(aor, b.flow) for aor, b in self.registrar.all(NOW)], [(AOR, TOKYO)])

    def test_leg_gone(self) -> None:
        """A site that was deleted takes its bindings with it."""
        self.say(PHONE)
        self.say("<sip:alice@203.0.113.20>", flow=TCP, cseq=2)
        self.assertEqual(self.registrar.leg_gone("tokyo"), [AOR])
        self.assertEqual(self.contacts(), ["sip:alice@203.0.113.20"])

    def test_forget(self) -> None:
        """A deleted user is found nowhere; one that is not there is no error."""
        self.say(PHONE)
        for _ in range(2):
            self.registrar.forget(AOR)
        self.assertEqual((self.contacts(), self.registrar._places), ([], {}))

    def test_restored(self) -> None:
        """What the store remembers is found as if it had just been registered."""
        saved = self.say(PHONE)
        self.registrar = Registrar(Limits(), {AOR: list(saved)})
        self.assertEqual(self.contacts(), ["sip:alice@192.168.1.10:5060"])
        self.assertEqual(self.find("sip:alice@192.168.1.10:5060", "tokyo"), saved[0])

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["register", "remove", "close", "forget", "expire"]),
                st.sampled_from([AOR, "bob@example.com"]),
                st.sampled_from(["sip:a@10.0.0.1", "sip:b@10.0.0.1", "tel:123"]),
                st.sampled_from([TOKYO, OSAKA, TCP]),
            ),
            max_size=20,
        )
    )
    def test_places_are_those_of_the_bindings(self, steps: list[tuple[str, str, str, Flow]]) -> None:
        """Whatever happens in whatever order, a look-up and a search through all find the same."""
        registrar, now = Registrar(Limits()), NOW
        for number, (what, aor, contact, flow) in enumerate(steps):
            now += 500
            if what == "close":
                registrar.flow_closed(flow)
            elif what == "forget":
                registrar.forget(aor)
            elif what == "expire":
                registrar.expire(now)
            else:
                value = f"<{contact}>;expires={600 if what == 'register' else 0}"
                registrar.register(aor, register(value, cseq=number + 1), flow, now)
            everything = [binding for _, binding in registrar.all(now)]
            for uri in ("sip:a@10.0.0.1", "sip:b@10.0.0.1", "tel:123"):
                found = registrar.find_contact(parse_uri(uri), "tokyo", now)
                self.assertEqual(found is not None, any(b.contact == uri for b in everything))
        for flow in (TOKYO, OSAKA, TCP):
            registrar.flow_closed(flow)
        self.assertEqual((registrar._places, registrar._bindings), ({}, {}))
