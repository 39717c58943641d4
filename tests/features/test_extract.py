from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, extract_word_features, mix_layers
from neuroling.features.storage import files as storage
from neuroling.features.storage.seal import FeaturesFileError
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.words.context import Overlapping, Rolling, Whole
from neuroling.features.words.words import split_words, words_from_lists

from .test_families import TEXTS, alone

STIMULI = Stimuli.from_texts(TEXTS, labels=list("abcde"))
STORY = Stimuli.from_texts(
    ("the cat saw a dog and the dog saw don't ships " * 12).split(), labels=range(132), onset=np.arange(132) * 0.3
)


def test_minilm_words_equal_transformers_one_sentence_at_a_time(minilm: Encoder) -> None:
    found = extract_word_features(split_words(STIMULI), minilm)
    first = alone(minilm, TEXTS[0])  # (layer, token, unit)
    np.testing.assert_allclose(found.sel(sample="a/2").values, first[:, 2], atol=1e-5)
    assert found.layer_name.values[[0, -1]].tolist() == ["embeddings", "block 6"]


@pytest.mark.parametrize("pool", ["mean", "first", "last", "max", "weighted"])
def test_every_pool_equals_its_definition(minilm: Encoder, pool: str) -> None:
    found = extract_text_features(STIMULI, minilm, pool=pool, layers=-1)  # type: ignore[arg-type]
    for row, text in enumerate(TEXTS):
        states = alone(minilm, text)[-1]  # (token, unit)
        rank = np.arange(1, len(states) + 1)[:, None]
        expected = {
            "mean": states.mean(0),
            "first": states[0],
            "last": states[-1],
            "max": states.max(0),
            "weighted": (rank * states).sum(0) / rank.sum(),
        }[pool]
        np.testing.assert_allclose(found.values[row, 0], expected, atol=1e-5)


def test_the_model_itself_says_how_to_pool(minilm: Encoder) -> None:
    found = extract_text_features(STIMULI, minilm, pool="model", layers=-1)
    expected = extract_text_features(STIMULI, minilm, pool="mean", layers=-1, normalise=True)
    np.testing.assert_array_equal(found.values, expected.values)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "pools by"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "pools by"),
    ],
)
def test_a_recipe_that_is_not_known_is_refused(
    minilm: Encoder, tmp_path: Path, config: dict[str, bool], message: str
) -> None:
    shutil.copy(minilm.folder / "modules.json", tmp_path)  # type: ignore[operator]
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        extract_text_features(STIMULI, replace(minilm, folder=tmp_path), pool="model")
    (tmp_path / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense", "path": ""}]')
    with pytest.raises(ValueError, match="only a pooling and a normalisation"):
        extract_text_features(STIMULI, replace(minilm, folder=tmp_path), pool="model")
    with pytest.raises(ValueError, match=r"has no modules\.json"):
        extract_text_features(STIMULI, replace(minilm, folder=None), pool="model")


@pytest.fixture
def own(minilm: Encoder, tmp_path: Path) -> Callable[[str, dict[str, object]], Encoder]:
    """MiniLM with one of its configuration files written anew."""

    def configured(name: str, config: dict[str, object]) -> Encoder:
        folder = tmp_path / "model"
        if not folder.exists():
            shutil.copytree(minilm.folder, folder)  # type: ignore[arg-type]
        (folder / name).write_text(json.dumps(config))
        return replace(minilm, name="model", folder=folder)

    return configured


PROMPTS = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}
POOLING = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True, "include_prompt": False}


def test_a_model_that_wants_a_prompt_is_refused(own: Callable[[str, dict[str, object]], Encoder]) -> None:
    advice = "'query: ' in front of every text; put it there yourself, with pool='mean' and normalise=True"
    with pytest.raises(ValueError, match=advice):
        extract_text_features(STIMULI, own("config_sentence_transformers.json", PROMPTS), pool="model")


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
@pytest.mark.parametrize("cased", ["gpt2", "bert"])
def test_a_model_that_wants_small_letters_is_refused_if_its_tokenizer_keeps_capitals(
    own: Callable[[str, dict[str, object]], Encoder], family: Callable[[str], Encoder], cased: str
) -> None:
    encoder = own("sentence_bert_config.json", {"do_lower_case": True})
    with pytest.raises(ValueError, match="lower-case them yourself, with pool='mean' and normalise=True"):
        extract_text_features(STIMULI, replace(encoder, tokenizer=family(cased).tokenizer), pool="model")


def test_a_prompt_that_is_not_pooled_is_refused(own: Callable[[str, dict[str, object]], Encoder]) -> None:
    own("1_Pooling/config.json", POOLING)
    with pytest.raises(ValueError, match="leaves it out of the pooling; use sentence-transformers"):
        extract_text_features(STIMULI, own("config_sentence_transformers.json", PROMPTS), pool="model")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("config_sentence_transformers.json", {**PROMPTS, "default_prompt_name": None}),
        ("config_sentence_transformers.json", {**PROMPTS, "default_prompt_name": "document"}),
        ("1_Pooling/config.json", POOLING),  # without a prompt nothing is left out
        ("sentence_bert_config.json", {"do_lower_case": True}),  # as its tokenizer does
    ],
)
def test_a_model_that_takes_texts_as_they_are_is_read(
    own: Callable[[str, dict[str, object]], Encoder], minilm: Encoder, name: str, config: dict[str, object]
) -> None:
    found = extract_text_features(STIMULI, own(name, config), pool="model", layers=-1)
    np.testing.assert_array_equal(found.values, extract_text_features(STIMULI, minilm, pool="model", layers=-1).values)


def test_what_the_refusal_of_a_prompt_advises_is_what_sentence_transformers_does(
    own: Callable[[str, dict[str, object]], Encoder],
) -> None:
    library = pytest.importorskip("sentence_transformers")
    encoder = own("config_sentence_transformers.json", PROMPTS)
    prompted = Stimuli.from_texts(["query: " + text for text in TEXTS], labels=STIMULI.labels)
    found = extract_text_features(prompted, encoder, pool="mean", normalise=True, layers=-1)
    peer = library.SentenceTransformer(str(encoder.folder), device="cpu")
    np.testing.assert_allclose(found.values[:, 0], peer.encode(TEXTS), atol=1e-5)


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
@pytest.mark.parametrize("name", ["gpt2", "llama", "gpt-neox"])
def test_overlapping_chunks_of_a_causal_model_equal_reading_anew(family: Callable[[str], Encoder], name: str) -> None:
    """With all that came before inside the chunk, a word's state is that of the text up to it."""
    encoder = family(name)
    words = Stimuli(STORY.table.iloc[:20])
    found = extract_word_features(words, encoder, context=Overlapping(left=90, tokens=96), pool="last")
    for row in (0, 7, 19):
        states = alone(encoder, " ".join(words.texts[: row + 1]))
        np.testing.assert_allclose(found.values[row], states[:, -1], atol=1e-5)


@pytest.mark.parametrize("left", [0, 8, 20])
def test_every_word_has_the_left_context_that_was_asked_for(family: Callable[[str], Encoder], left: int) -> None:
    found = extract_word_features(STORY, family("gpt2"), layers=0, context=Overlapping(left=left))
    tokens = family("gpt2").tokenizer(" ".join(STORY.texts), return_offsets_mapping=True)["offset_mapping"]
    starts = np.cumsum([0, *(len(text) + 1 for text in STORY.texts[:-1])])
    before = np.searchsorted(np.array(tokens)[:, 1], starts, side="right")
    assert (found.left_tokens.values >= np.minimum(left, before)).all()


def test_chunks_with_context_on_both_sides_take_each_word_once(minilm: Encoder) -> None:
    found = extract_word_features(STORY, minilm, layers=-1, context=Overlapping(left=20, right=20, tokens=60))
    assert np.isfinite(found.values).all()
    whole = extract_word_features(STORY, minilm, layers=-1, context=Whole())
    assert np.corrcoef(found.values.ravel(), whole.values.ravel())[0, 1] > 0.9


def test_onsets_travel_with_the_words(minilm: Encoder) -> None:
    found = extract_word_features(STORY, minilm, layers=0)
    np.testing.assert_array_equal(found.onset.values, STORY.table["onset"])


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (Whole(), "and the encoder reads 94"),
        (Rolling(words=100), "choose fewer words"),
        (Overlapping(left=94), "choose less context"),
        (Overlapping(left=10, tokens=200), "choose less context"),
    ],
)
def test_context_beyond_the_encoder_is_refused(
    family: Callable[[str], Encoder], context: Whole | Rolling | Overlapping, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        extract_word_features(STORY, replace(family("gpt2"), max_tokens=94), context=context)


def test_context_beyond_the_encoder_names_the_word(family: Callable[[str], Encoder]) -> None:
    words = Stimuli.from_texts(["a", "cat", "x" * 40, "dog"], labels=[7, 8, 9, 10], group=["s", "t", "t", "t"])
    encoder = replace(family("gpt2"), max_tokens=20)
    with pytest.raises(ValueError, match="the 2 words up to 9 are"):
        extract_word_features(words, encoder, context=Rolling(words=1))
    with pytest.raises(ValueError, match="the word 9 and its context do not fit"):
        extract_word_features(words, encoder, context=Overlapping(left=2))


@pytest.mark.parametrize(("left", "right", "tokens"), [(-1, 0, None), (0, -1, None), (10, 10, 20)])
def test_chunks_that_make_no_sense_are_refused(left: int, right: int, tokens: int | None) -> None:
    with pytest.raises(ValueError, match="left, right, tokens: got"):
        Overlapping(left, right, tokens)


def test_a_word_without_pieces_may_be_nan(minilm: Encoder) -> None:
    words = words_from_lists([["cat", "\u200d", "dog"]], labels=["s"])
    found = extract_word_features(words, minilm, missing="nan", layers=[0, 6])
    assert np.isnan(found.values).all(axis=(1, 2)).tolist() == [False, True, False]
    assert (found.attrs["n_without_pieces"], found.left_tokens.values.tolist()) == (1, [0, -1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "sum"}, "pool: got 'sum'"),
        ({"long": "cut"}, "long: got 'cut'"),
        ({"layers": 7}, "layer: got 7"),
        ({"layers": []}, r"layers: got \[\]"),
        ({"layers": [6, -1]}, "each once"),
        ({"batch_tokens": 0}, "batch_tokens: got 0"),
    ],
)
def test_options_that_do_not_exist_are_named(minilm: Encoder, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract_text_features(STIMULI, minilm, **options)  # type: ignore[arg-type]


def test_a_cache_is_refused_beside_a_file(minilm: Encoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cache: cannot be used with out="):
        extract_text_features(STIMULI, minilm, cache=tmp_path / "kept", out=tmp_path / "f.nc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": ["a cat", "a dog"]}, "texts: got list; expected Stimuli"),
        ({"encoder": 6}, r"encoder: got \['int'\]; expected a name, a folder, an Encoder"),
        ({"encoder": ["minilm", "minilm"]}, r"encoder: got \['str', 'str'\]"),
        ({"layers": 1.0}, r"layers: got 1\.0; expected numbers of layers"),
        ({"layers": [0, 1.5]}, r"layers: got \[0, 1\.5\]"),
        ({"layers": "last"}, "layers: got 'last'"),
    ],
)
def test_arguments_of_another_type_are_named(minilm: Encoder, options: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        extract_text_features(**{"texts": STIMULI, "encoder": minilm, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "skip"}, "missing: got"),
        ({"shared": "none"}, "shared: got"),
        ({"pool": "cls"}, r"pool: got 'cls'; expected one of .* for features of words"),
    ],
)
def test_options_of_words_that_do_not_exist_are_named(
    minilm: Encoder, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        extract_word_features(split_words(STIMULI), minilm, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("context", ["rolling", Rolling])
def test_a_context_of_another_type_is_named(minilm: Encoder, context: object) -> None:
    with pytest.raises(TypeError, match=r"context: got .*; expected Whole\(\), Rolling\(words=…\) or"):
        extract_word_features(split_words(STIMULI), minilm, context=context)  # type: ignore[arg-type]


@pytest.mark.parametrize("layers", [np.int64(3), [np.int64(3)], np.array([3]), range(3, 4)])
def test_layers_may_be_numbers_of_numpy(minilm: Encoder, tmp_path: Path, layers: object) -> None:
    found = extract_text_features(STIMULI, minilm, layers=layers, cache=tmp_path)  # type: ignore[arg-type]
    assert found.identical(extract_text_features(STIMULI, minilm, layers=3))


def test_a_folder_is_loaded(tiny_folder: Path, tiny: Encoder) -> None:
    texts = Stimuli.from_texts(["the cat saw a dog"])
    assert extract_text_features(texts, tiny_folder, device="cpu").identical(extract_text_features(texts, tiny))


def test_a_decoder_has_no_first_special_token(family: Callable[[str], Encoder]) -> None:
    with pytest.raises(ValueError, match="puts no special token in front"):
        extract_text_features(STIMULI, family("gpt2"), pool="cls")


# --- untrained twins and precision ------------------------------------------------------------------------------------


def test_an_untrained_twin_has_the_same_shape_and_other_weights(tiny_folder: Path) -> None:
    trained, twin, again, other = (load_encoder(tiny_folder, device="cpu", untrained=s) for s in (None, 1, 1, 2))
    assert twin.provenance()["encoder"] == "tiny-bert, untrained, seed 1"
    assert twin.weights_sha256 == again.weights_sha256
    assert len({encoder.weights_sha256 for encoder in (trained, twin, other)}) == 3
    assert twin.n_layers == trained.n_layers


def test_making_a_twin_leaves_the_random_state_alone(tiny_folder: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_encoder(tiny_folder, device="cpu", untrained=3)
    assert torch.rand(1) == expected


def test_half_precision_keeps_the_geometry(minilm: Encoder) -> None:
    half = extract_text_features(STIMULI, load_encoder("minilm", device="cpu", dtype="bfloat16"), layers=-1).values[
        :, 0
    ]
    full = extract_text_features(STIMULI, minilm, layers=-1).values[:, 0]
    assert np.linalg.norm(half - full) / np.linalg.norm(full) < 0.03
    assert np.corrcoef(np.corrcoef(half).ravel(), np.corrcoef(full).ravel())[0, 1] > 0.999


@pytest.mark.parametrize(("dtype", "message"), [("float16", "slower than float32"), ("int8", "dtype: got 'int8'")])
def test_precisions_that_make_no_sense_are_refused(tiny_folder: Path, dtype: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_encoder(tiny_folder, device="cpu", dtype=dtype)  # type: ignore[arg-type]


def test_layers_mix_by_a_softmax(minilm: Encoder) -> None:
    states = extract_text_features(STIMULI, minilm)
    whole = (states * 100).round()
    np.testing.assert_allclose(mix_layers(whole.astype(int)), whole.mean("layer"), atol=1e-4)
    np.testing.assert_allclose(mix_layers(states), states.mean("layer"), atol=1e-6)
    one = mix_layers(states, [0, 0, 0, 60, 0, 0, 0])
    np.testing.assert_allclose(one, states.sel(layer=3), atol=1e-5)
    with pytest.raises(ValueError, match="expected 7 finite numbers"):
        mix_layers(states, [1.0])


# --- to disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    original = storage.write_layers
    monkeypatch.setattr(
        "neuroling.features.extract.write_layers",
        lambda *args, **kwargs: original(*args, **{**kwargs, "block_bytes": 20_000}),
    )


def same(file: xr.DataArray, memory: xr.DataArray) -> None:
    np.testing.assert_allclose(file.values, memory.values, atol=5e-6)
    assert file.dims == memory.dims
    for name in memory.coords:
        assert file[name].values.tolist() == memory[name].values.tolist()
    assert {key: file.attrs[key] for key in memory.attrs} == memory.attrs
    assert file.attrs["neuroling"] == version("neuroling")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("extract", "stimuli"), [(extract_word_features, split_words(STIMULI)), (extract_text_features, STIMULI)]
)
def test_features_written_while_computing_equal_those_in_memory(
    minilm: Encoder, tmp_path: Path, extract: Callable[..., xr.DataArray], stimuli: Stimuli
) -> None:
    file = extract(stimuli, minilm, out=tmp_path / "features.nc")
    same(file, extract(stimuli, minilm))
    assert [path.name for path in tmp_path.iterdir()] == ["features.nc"]


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_file_is_continued(minilm: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = split_words(STIMULI)
    import neuroling.features.extract as module

    calls: list[int] = []
    original = module.embed

    def interrupted(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "embed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract_word_features(words, minilm, out=tmp_path / "features.nc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.nc.partial", "features.nc.partial.blocks"]
    same(extract_word_features(words, minilm, out=tmp_path / "features.nc"), extract_word_features(words, minilm))
    n_blocks = len(calls) - 2  # one was interrupted, one is the comparison
    assert n_blocks == 5


@pytest.mark.usefixtures("small_blocks")
def test_a_finished_file_is_not_made_again(minilm: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract_text_features(STIMULI, minilm, out=tmp_path / "features.nc").close()
    monkeypatch.setattr("neuroling.features.extract.embed", None)
    extract_text_features(STIMULI, minilm, out=tmp_path / "features.nc").close()
    with pytest.raises(ValueError, match="holds other features"):
        extract_text_features(STIMULI, minilm, out=tmp_path / "features.nc", pool="max")


@pytest.mark.usefixtures("small_blocks")
def test_a_partial_file_that_was_damaged_is_begun_anew(minilm: Encoder, tmp_path: Path) -> None:
    (tmp_path / "features.nc.partial").write_bytes(b"half a file")
    same(extract_text_features(STIMULI, minilm, out=tmp_path / "features.nc"), extract_text_features(STIMULI, minilm))


@pytest.mark.usefixtures("small_blocks")
def test_a_flipped_bit_in_the_file_is_noticed(minilm: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "features.nc"
    values = extract_text_features(STIMULI, minilm, out=path)
    needle = values.sel(layer=3).values[2].tobytes()[:64]
    values.close()
    raw = bytearray(path.read_bytes())
    raw[raw.index(needle) + 5] ^= 4
    path.write_bytes(raw)
    with pytest.raises(FeaturesFileError, match=r"features\.nc is damaged"), storage.open_layers(path) as damaged:
        damaged.load()


def test_layers_in_any_order_land_where_they_were_asked_for(minilm: Encoder) -> None:
    texts = Stimuli.from_texts(["the cat saw a dog", "a ship"], labels=["a", "b"])
    everything = extract_text_features(texts, minilm)
    np.testing.assert_array_equal(
        extract_text_features(texts, minilm, layers=[5, 0, 6]).values, everything.sel(layer=[5, 0, 6]).values
    )
