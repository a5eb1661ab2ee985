"""The language of a text is told by its script or its small words, and not told where neither does."""

import pytest

from crosswalk.language import SMALL_WORDS, language

TEXTS = {
    "english": "She walked along the river and thought of the letter that he had not sent to her.",
    "german": "Sie ging am Fluss entlang und dachte an den Brief, den er ihr nicht geschickt hat.",
    "french": "Elle marchait le long de la rivière et pensait à la lettre que son frère ne lui avait pas envoyée.",
    "spanish": "Ella caminaba por la orilla del río y pensaba en la carta que su hermano no le había mandado.",
    "portuguese": "Ela andava à beira do rio e pensava na carta que o seu irmão não lhe tinha mandado, mas em vão.",
    "italian": "Camminava lungo il fiume e pensava alla lettera che il fratello non le aveva più mandato, come sempre.",
    "dutch": "Zij liep langs de rivier en dacht aan de brief die hij haar niet had gestuurd, maar het was te laat.",
    "polish": "Szła nad rzeką i myślała o liście, którego on jej nie wysłał, ale to już się stało i tak jest.",
    "turkish": "Nehir kenarında bir sabah yürüdü ve bu mektup için çok bekledi ama o gelmedi, daha sonra da.",
    "cyrillic": "Она шла вдоль реки и думала о письме.",
    "greek": "Περπατούσε δίπλα στο ποτάμι.",
    "japanese": "彼女は川のそばを歩きながら手紙のことを考えた。",
    "chinese": "她沿着河边走，想着那封信。",
    "korean": "그녀는 강가를 걸으며 편지를 생각했다.",
    "arabic": "سارت على ضفة النهر وفكرت في الرسالة",
}


@pytest.mark.parametrize("expected", TEXTS)
def test_a_sentence_is_enough(expected):
    assert language(TEXTS[expected]) == expected


@pytest.mark.parametrize("text", ["", "12345", "Tokyo Monogatari", "!!!", "xkcd qwerty asdf zxcv yuio"])
def test_names_and_numbers_have_no_language(text):
    assert language(text) == ""


def test_a_quotation_in_another_script_changes_nothing():
    assert language(TEXTS["english"] + " 彼女は歩いた") == "english"


def test_no_list_holds_a_word_twice():
    for name, small in SMALL_WORDS.items():
        assert len(small.split()) == len(set(small.split())) >= 20, name
