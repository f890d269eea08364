"""Networks by the names of their sources: the same bits each time, an example that they take, and one line where there are none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.profile import TensorSpec
from measurement import sources
from measurement.networks import build_network, is_open, network_digest, parse_builder
from measurement.networks.conventions import conventions_of
from measurement.sources import example_of, get
from measurement.sources import timm as timm_source
from runner.parts.network import builder_here

BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "vocab_size": 50, "max_position_embeddings": 8}  # fmt: skip
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 50,
        "eos_token_id": 49, "bos_token_id": 49}  # fmt: skip


def folder(path: Path, configuration: object, name: str = "net") -> Path:
    (path / name).mkdir(parents=True, exist_ok=True)
    (path / name / "config.json").write_text(json.dumps(configuration))
    return path / name


def called(module: nn.Module, example: sources.Example) -> object:
    with torch.inference_mode():
        if isinstance(example, Tensor):
            return module(example)
        return module(**example) if isinstance(example, dict) else module(*example)


@pytest.mark.parametrize("text", ["timm:resnet18", "timm:resnet50.a1_in1k", "hf:models/bert", "hf:../a b/c"])
def test_builders_of_sources_are_kept(text):
    assert parse_builder(text) == text


@pytest.mark.parametrize("text", ["timm:", "hf:", "timm:hf-hub:a/b", "timm:a b", "hf:a\nb", "torchvision:vgg-16"])
def test_names_that_a_source_cannot_have_are_refused(text):
    with pytest.raises(InputError, match="is no network"):
        parse_builder(text)


def test_a_network_of_timm_is_the_same_every_time_and_takes_its_example():
    a, b = (build_network("timm:mobilenetv3_small_050", "seeded:1") for _ in range(2))
    assert network_digest(a, ()) == network_digest(b, ())
    assert not a.training
    example = example_of("timm:mobilenetv3_small_050", a)
    assert isinstance(example, Tensor)
    assert torch.equal(example, example_of("timm:mobilenetv3_small_050", b))
    assert called(a, example).shape == (1, 1000)


@pytest.mark.parametrize(("name", "reason"), [("resnet_50", "there are e.g. resnet50"), ("resnet18.nobodys", "cannot be built: ")])
def test_timm_has_no_such_network(name, reason):
    with pytest.raises(InputError, match=reason) as caught:
        build_network(f"timm:{name}", "seeded:0")
    assert "\n" not in str(caught.value)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(timm_source.SOURCE, "needs", ("no_such_timm",))
    with pytest.raises(MissingExtraError, match=r"pip install 'lmos\[timm\]'"):
        build_network("timm:resnet18", "seeded:0")


def test_a_folder_of_transformers_gives_a_network_and_words_of_its_vocabulary(tmp_path):
    name = f"hf:{folder(tmp_path, BERT)}"
    a, b = (build_network(name, "seeded:3") for _ in range(2))
    assert network_digest(a, ()) == network_digest(b, ())
    example = example_of(name, a)
    assert {key: tuple(tensor.shape) for key, tensor in example.items()} == {"input_ids": (1, 8), "attention_mask": (1, 8)}
    assert example["input_ids"].max() < 50
    assert list(called(a, example)) == ["last_hidden_state", "pooler_output"]


def test_a_cache_of_a_decoder_is_switched_off(tmp_path):
    name = f"hf:{folder(tmp_path, GPT2)}"
    module = build_network(name, "seeded:0")
    assert list(called(module, example_of(name, module))) == ["logits"]


def test_weights_in_a_folder_are_those_that_were_saved_there_and_usual(tmp_path):
    place = folder(tmp_path, BERT)
    source, name = get(f"hf:{place}")
    assert source.usual_weights(name) is None
    module = build_network(f"hf:{place}", "seeded:3")
    module.save_pretrained(place)
    assert source.usual_weights(name) == "hf:safetensors"
    assert network_digest(build_network(f"hf:{place}", "hf:safetensors"), ()) == network_digest(module, ())
    folder(tmp_path, {**BERT, "architectures": ["BertForMaskedLM"]})
    with pytest.raises(InputError, match=r"its weights lack cls\.\S+.* take seeded:0"):
        build_network(f"hf:{place}", "hf:safetensors")


class _Harm:
    def __reduce__(self):
        return (Path.touch, (Path("harm"),))


def test_no_code_of_a_folder_runs_and_no_pickle_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {**BERT, "model_type": "theirs", "auto_map": {"AutoConfig": "code.Theirs", "AutoModel": "code.Theirs"}}
    place = folder(tmp_path, own)
    (place / "code.py").write_text("from pathlib import Path\nPath('harm').touch()\n")
    with pytest.raises(InputError, match="code of its own, which is never run"):
        build_network(f"hf:{place}", "seeded:0")
    folder(tmp_path, {**BERT, "auto_map": {"AutoConfig": "code.Theirs", "AutoModel": "code.Theirs"}})
    (place / "pytorch_model.bin").write_bytes(pickle.dumps(_Harm()))
    build_network(f"hf:{place}", "seeded:0")
    source, name = get(f"hf:{place}")
    with pytest.raises(InputError, match=r"pytorch_model\.bin, a pickle"):
        source.usual_weights(name)
    with pytest.raises(InputError, match="no such weights"):
        build_network(f"hf:{place}", "hf:safetensors")
    assert not Path("harm").exists()


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        (None, "no config.json"),
        ([], "holds no object"),
        ({"model_type": "unheard"}, "model_type 'unheard'"),
        ({**BERT, "architectures": ["Nothing"]}, "architecture 'Nothing'"),
        ({**BERT, "num_attention_heads": 3}, "cannot be built: ValueError|cannot be built: "),
    ],
)
def test_each_folder_that_is_no_network_has_its_own_line(tmp_path, configuration, reason):
    place = folder(tmp_path, configuration)
    if configuration is None:
        (place / "config.json").unlink()
    with pytest.raises(InputError, match=reason) as caught:
        build_network(f"hf:{place}", "seeded:0")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_not_fetched(tmp_path):
    with pytest.raises(InputError, match="nothing is downloaded"):
        build_network("hf:nobody/nothing", "seeded:0")


def test_weights_of_one_source_belong_to_its_networks_alone():
    with pytest.raises(InputError, match="published weights belong to a torchvision model"):
        build_network("timm:resnet18", "torchvision:DEFAULT")
    with pytest.raises(InputError, match="published weights belong to a network of hf:"):
        build_network("torchvision:resnet18", "hf:safetensors")


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("r3d_18", [(1, 3, 16, 112, 112)]), ("mvit_v2_s", [(1, 3, 16, 224, 224)]), ("raft_small", [(1, 3, 128, 128)] * 2),
     ("lraspp_mobilenet_v3_large", [(1, 3, 224, 224)]), ("ssdlite320_mobilenet_v3_large", [(3, 320, 320)])],
)  # fmt: skip
def test_every_family_of_torchvision_has_its_example(name, shapes):
    example = example_of(f"torchvision:{name}", nn.Identity())
    assert [tuple(leaf.shape) for leaf in torch.utils._pytree.tree_leaves(example)] == shapes


def test_a_server_builds_for_strangers_what_torchvision_has_alone():
    assert is_open("torchvision:alexnet")
    assert not any(map(is_open, ("timm:resnet18", "hf:a/b", "my:net")))
    for builder in ("timm:resnet18", "hf:a/bert", "my:net"):
        with pytest.raises(InputError, match=f"nobody allowed here: --network {builder}"):
            builder_here(builder, ["timm:resnet34", "hf:a/other", "my:bert"])
        assert builder_here(builder, [builder]) == builder


def test_a_folder_of_the_same_name_stands_for_a_folder_elsewhere():
    assert builder_here("hf:/home/pi/models/bert", ["hf:/srv/gpt2", "hf:/srv/bert"]) == "hf:/srv/bert"
    with pytest.raises(LmosError):
        builder_here("timm:bert", ["hf:/srv/bert"])


def test_conventions_are_what_the_configurations_say(tmp_path):
    picture = TensorSpec(shape=(1, 3, 224, 224), dtype="float32")
    timm = conventions_of("timm:mobilenetv3_small_100.lamb_in1k", "seeded:0", picture)
    assert timm.labels == "imagenet"
    assert timm.preprocessing is not None
    assert (timm.preprocessing.resize, timm.preprocessing.interpolation, timm.preprocessing.origin) == (256, "bicubic", "source")
    place = folder(tmp_path, {**BERT, "architectures": ["ViTForImageClassification"], "id2label": {"0": "cat", "1": "dog"}})
    (place / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 224}')
    found = conventions_of(f"hf:{place}", "seeded:0", picture)
    assert (found.labels, found.task) == (("cat", "dog"), "classes")
    assert found.preprocessing is not None
    assert found.preprocessing.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("configuration", "said"), [(GPT2, 1), (BERT, 0), ({**BERT, "is_decoder": True}, 1)])
def test_a_cache_that_is_switched_off_is_said(tmp_path, configuration, said):
    pytest.importorskip("transformers")
    source, _ = get("hf:x")
    remarks = source.remarks(str(folder(tmp_path, configuration)))
    assert len(remarks) == said
    assert all("past_key_values" in line for line in remarks)


def test_packed_weights_are_refused_by_name(tmp_path):
    place = folder(tmp_path, {**BERT, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}})
    with pytest.raises(InputError, match="its weights are packed by bitsandbytes, whose kernels are not run here"):
        build_network(f"hf:{place}", "seeded:0")
