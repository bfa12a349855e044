"""Month names as localised servers list them."""
# ruff: noqa: RUF001 - letters that look like Latin ones are the point here

from __future__ import annotations

# Lower-case, without the dot of an abbreviation, in the order of the months. A line has the words
# of English, German, French, Spanish, Italian, Portuguese, Galician, Catalan, Romanian, Dutch and
# Malay; then the Nordic and Baltic languages and Finnish, Polish, Czech, Slovene, Hungarian,
# Turkish and Basque; then the Cyrillic ones, Greek, Hebrew and Thai. As glibc abbreviates them,
# and in full where a system has been seen to write that. No word may mean two months: Croatian,
# whose `lip`, `lis` and `srp` are one month earlier than the Polish and Czech ones, is left out.
_NAMES = (
    "jan january januar jän jänner janv janvier ene enero gen gennaio janeiro xan ian januari"
    " jaan saus tammi sty stycznia led ledna urt oca ocak"
    " янв января яну јан січ сту ιαν ינו ม.ค",
    "feb february februar févr février fev fevr febrero febbraio fevereiro febr febrer februari"
    " veebr vas helmi lut lutego úno února şub şubat ots"
    " фев февраля феб лют φεβ פבר ก.พ",
    "mar march mär mrz märz mars marzo março març mrt maa maart mac märts marts kov maalis marca"
    " bře března márc mart"
    " мар марта бер сак μαρ μάρ מרץ มี.ค",
    "apr april avr avril abr abril aprile"
    " bal huhti kwi kwietnia dub dubna ápr nis nisan api"
    " апр апреля кві кра απρ אפר เม.ย",
    "may mai mayo mag maggio maio maig mei maj maí touko geg maja kvě května máj mayıs"
    " май мая мај тра μαΐ μάι מאי พ.ค",
    "jun june juni juin junio giu giugno junho xuñ juny iun jún jūn juuni birž kesä cze czerwca"
    " čen června haz haziran eka"
    " июн июня юни јун чер чэр ιουν ιούν יונ มิ.ย",
    "jul july juli juil juillet julio lug luglio julho xul juliol iul júl jūl juuli liep heinä lip"
    " lipca čec července tem temmuz uzt"
    " июл июля юли јул лип ліп ιουλ ιούλ יול ก.ค",
    "aug august août aou ago agosto ag augustus ogos agu ágú rugp elo sie sierpnia srp srpna avg"
    " ağu ağustos abu"
    " авг августа сер жні αυγ αύγ אוג ส.ค",
    "sep sept september septembre septiembre set settembre setembro rugs syys wrz września zář září"
    " szept eyl eylül ira"
    " сен сент сентября сеп вер σεπ ספט ก.ย",
    "oct october okt oktober octobre octubre ott ottobre out outubro spal loka paź października"
    " říj října eki ekim urr"
    " окт октября жов кас οκτ אוק ต.ค",
    "nov november novembre noviembre novembro noi nóv lapkr marras lis listopada listopadu kas"
    " kasım aza"
    " ноя нояб ноября ное нов лис ліс νοε νοέ נוב พ.ย",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro des dis dets gruod"
    " joulu gru grudnia pro prosince ara aralık abe"
    " дек декабря дец гру сне δεκ דצמ ธ.ค",
)

MONTHS = {word: number for number, words in enumerate(_NAMES, 1) for word in words.split()}


def month_number(word: str) -> int:
    """1 to 12, 0 for a word of no language known here. Case and a dot or comma do not matter."""
    return MONTHS.get(word.rstrip(".,").lower(), 0)
