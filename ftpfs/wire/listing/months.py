"""Month names as localised servers list them."""

from __future__ import annotations

# Lower-case, without the dot of an abbreviation, in the order of the months: English, German,
# French, Spanish, Italian, Portuguese, Dutch, the Nordic languages, Polish, Russian; then the
# number that Chinese and Japanese servers write. No word may mean two months.
_NAMES = (
    "jan january januar janv janvier ene gen sty янв января 1月",
    "feb february februar févr fév fevr février fev lut фев февр февраля 2月",
    "mar march mär mrz märz mars mrt maa мар марта 3月",
    "apr april avr avril abr kwi апр апреля 4月",
    "may mai maj mag mei май мая 5月",
    "jun june juni juin giu cze июн июня 6月",
    "jul july juli juil juillet lug lip июл июля 7月",
    "aug august août aou ago sie авг августа 8月",
    "sep sept september septembre set wrz сен сент сентября 9月",
    "oct october okt oktober octobre ott out paź окт октября 10月",
    "nov november novembre lis ноя нояб ноября 11月",
    "dec december dez dezember déc décembre dic des gru дек декабря 12月",
)

MONTHS = {word: number for number, words in enumerate(_NAMES, 1) for word in words.split()}
