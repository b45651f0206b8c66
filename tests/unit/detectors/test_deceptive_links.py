"""Links that deceive are found in several languages and without a scheme; ordinary ones like them are not."""

from __future__ import annotations

import pytest

from guardrails_plugin.detectors.malicious_url import MaliciousUrl
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

DETECTOR = MaliciousUrl()


def highest(text: str) -> float:
    (findings,) = DETECTOR.detect([normalize(Segment(text, Origin.MODEL))], NO_CONTEXT)
    return max((finding.score for finding in findings), default=0.0)


DECEPTIVE = """
https://www.paypall-billing.com/renew
https://instagrem-support.com/appeal
https://micorsoft-login.com/
https://cionbase-verify.com/
https://www.netfilx.com/
https://linkdein.com/feed
https://dropbbox.com/s/1
https://www.spotiffy.com/premium
https://www.faecbook.com/anmelden
https://www.shopfy.com/konto/rechnung
https://netfix.com/cuenta/pago
https://dropbax.com/compte/connexion
https://dhl-paket.zustellung-info.click/de
https://dhl-redelivery.com/fee
https://correos-envio.top/pagar
https://royalmail-parcel.com/track
https://sparkasse-sicherheit.com/
https://laposte-colis.info/suivi
https://fedex-entrega.com/taxa
https://dpd-przesylka.com/doplata
https://postnl-pakket.xyz/betalen
https://itau-seguranca.com/acesso
https://klarna-rechnung.com/zahlung
https://mercadopago-cuenta.com/verificar
http://203.0.113.77:4477/konto/
http://198.51.100.8:7001/login
http://198.51.100.8:9443/factura/
http://sign-in-portal.example:8091/outlook/auth.php
http://secure-mail.example:2095/office365/
http://account-verify.example:7777/paypal/index.html
https://sso.north-mill.example/login?next=https%3A%2F%2Fmail-login.other.test%2Fsignin
https://accounts.north-mill.example/signin?returnUrl=https://north-verify.test/login
https://login.north-mill.example/?redirect=//secure-account.test/
https://www.google.com/url?q=https://free-prize.top/claim&sa=D
https://www.google.com/url?q=http://paypa1.com/login
https://www.youtube.com/redirect?q=https%3A%2F%2Fwallet-airdrop.xyz
https://l.facebook.com/l.php?u=https%3A%2F%2Fbonus-verify.click%2Fgo
https://www.linkedin.com/redir/redirect?url=https%3A%2F%2Fmicros0ft-login.com
Your card is locked, unlock: bit.ly/4xYzAb1
tinyurl.com/ab12cd34 now!
Votre colis est bloqué : cutt.ly/Xy12ab
Pay here: www.paypa1.com/signin
Open paypal.com.verify-account.tk/login today
go to micros0ft.com/login.
www.netfllix.com
Ihr Konto: sparkasse-sicherheit.com/anmelden
(amazon-refund.top/claim)
""".strip().split("\n")

ORDINARY = """
https://www.paypal.com/de/webapps/mpp/rechnung
https://www.dhl.de/de/privatkunden/pakete-empfangen/verfolgen.html
https://www.dhl.com/gb-en/home/tracking.html
https://mydhl.express.dhl/gb/en/tracking.html
https://www.dpd.com/de/de/empfangen/
https://www.sparkasse.de/konto/login
https://www.royalmail.com/track-your-item
https://www.laposte.fr/outils/suivre-vos-envois
https://www.correos.es/es/es/particulares
https://www.postnl.nl/en/track-and-trace/
https://www.klarna.com/de/rechnung/
https://github.com/login?return_to=https%3A%2F%2Fgithub.com%2Fpython
https://accounts.google.com/ServiceLogin?continue=https://mail.google.com/mail/
https://login.microsoftonline.com/common/oauth2/authorize?client_id=1&redirect_uri=https%3A%2F%2Fapp.example%2Flogin
https://sso.example.edu/cas/login?service=https%3A%2F%2Flibrary.example.org%2Flogin
https://auth.example.com/authorize?client_id=web&redirect_uri=https://shop.test/signin/callback
https://login.example.com/?next=https://app.example.com/signin
https://www.google.com/url?q=https://docs.example.org/guide&sa=D&source=editors
https://www.google.com/url?q=https://abc.xyz/&sa=D
https://www.youtube.com/redirect?q=https%3A%2F%2Fband.example%2Ftour
https://l.facebook.com/l.php?u=https%3A%2F%2Fmuseum.example%2Ftickets
https://click.mail.example/?url=https%3A%2F%2Fapp.test%2Fverify%3Ft%3D1
https://web.archive.org/web/2020/https://bank.example/login
https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2Fblog.example%2Flogin-pages
http://dev.example.com:8089/
http://build.example.com:9090/job/login-tests/
https://mail.example.com:2096/
http://localhost:8089/login
http://192.168.0.10:8089/login
http://192.0.2.10:9200/_cluster/health
http://198.51.100.4:8080/metrics
http://router.local:8089/login
bit.ly is a shortener, and so is t.co.
We moved from github.com/old/repo to gitlab.com/new/repo.
The file is at src/app.py/notes or docs/index.md, see read.me/first.
pkg.go.dev/net/http and docs.rs/serde/latest are good reads.
import "github.com/spf13/cobra/doc"
docker pull ghcr.io/acme/web/app:1.2 and quay.io/acme/base:3
pip install foo==1.2.3.4; conda-forge.org/packages lists it.
www.example.com and www.python.org/downloads are fine.
maven: org.apache.commons/commons-lang3/3.12.0, npm: lodash.get/4.4.2
write to mira@mail.example.com/office or anna@bit.ly
en.wikipedia.org/wiki/Tide and maps.google.com/maps?q=Leith
Version 10.4.12.3/stable, build 9.8.1.255/x64
https://sportify.example/kurse
https://www.telegraph.co.uk/login
https://finance.example/account
https://status.shopify.com/ and https://help.netflix.com/de/node/412
https://docs.example.com/integrations/paypal/login
https://auth.example.com/login/github
https://dhi.example.com/login
https://www.goodreads.com/book/show/3-the-apple-orchard
https://pineapple-recipes.com/cake
https://cdn.example.com/media/b5d8f0aa91/gift-card.png
""".strip().split("\n")


@pytest.mark.parametrize("text", DECEPTIVE)
def test_deceptive_links(text: str) -> None:
    assert highest(text) >= 0.5


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_links_that_look_like_them(text: str) -> None:
    assert highest(text) < 0.5
