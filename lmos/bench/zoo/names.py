"""The zoo's networks: by their builders, small configurations of transformers, and functions of `networks`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_TORCHVISION = {
    "classification": "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t "
                      "mnasnet1_0 mobilenet_v2 mobilenet_v3_large regnet_y_400mf resnet18 resnet50 resnext50_32x4d "
                      "shufflenet_v2_x1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg16_bn vit_b_32 wide_resnet50_2",
    "segmentation": "deeplabv3_mobilenet_v3_large deeplabv3_resnet50 fcn_resnet50 lraspp_mobilenet_v3_large",
    "detection": "fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_resnet50_fpn fcos_resnet50_fpn keypointrcnn_resnet50_fpn "
                 "maskrcnn_resnet50_fpn retinanet_resnet50_fpn ssd300_vgg16 ssdlite320_mobilenet_v3_large",
    "video": "mc3_18 mvit_v2_s r3d_18 s3d",
    "optical flow": "raft_small",
    "quantization": "quantized_mobilenet_v2",
}  # fmt: skip
_TIMM = """
    cait_xxs24_224 convit_tiny convnext_atto convnextv2_atto crossvit_tiny_240 cspresnet50 darknet53
    deit_tiny_patch16_224 dla34 dpn48b eca_nfnet_l0 ecaresnet26t edgenext_xx_small efficientformer_l1
    efficientnet_lite0 ese_vovnet19b_dw eva02_tiny_patch14_224 fastvit_t8 ghostnet_100 gmlp_s16_224 hardcorenas_a
    hiera_tiny_224 hrnet_w18_small lcnet_050 levit_128s mixer_s32_224 mobilenetv3_small_100 mobilenetv4_conv_small
    mobileone_s0 mobilevit_xxs nasnetalarge pit_ti_224 poolformer_s12 pvt_v2_b0 regnetx_002 repvgg_a0 res2net50_14w_8s
    resmlp_12_224 resnet26d resnetv2_50 rexnet_100 selecsls42b seresnet33ts skresnet18 starnet_s1 swin_s3_tiny_224
    tf_efficientnet_b0 tiny_vit_5m_224 tinynet_e visformer_tiny vit_tiny_patch16_224 xception41 xcit_nano_12_p16_224
"""
_TEXT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
                         "vocab_size": 200, "max_position_embeddings": 64}  # fmt: skip
_DECODER = {**_TEXT, "num_key_value_heads": 2, "head_dim": 16}
_VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
           "image_size": 32, "patch_size": 8}
_SOUND = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 32,
          "conv_dim": [32, 32], "conv_stride": [5, 4], "conv_kernel": [10, 4], "num_conv_pos_embeddings": 16,
          "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}  # fmt: skip
_PAIR = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
         "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": 200, "max_position_embeddings": 64}  # fmt: skip
_TRANSFORMERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "albert": ("albert", "AlbertModel", {**_TEXT, "embedding_size": 16}),
    "bart": ("bart", "BartModel", _PAIR),
    "bert": ("bert", "BertModel", _TEXT),
    "bloom": ("bloom", "BloomForCausalLM", {"hidden_size": 32, "n_layer": 2, "n_head": 2, "vocab_size": 200}),
    "camembert": ("camembert", "CamembertModel", _TEXT),
    "clip": ("clip", "CLIPModel", {"text_config": {**_TEXT, "eos_token_id": 199, "bos_token_id": 198}, "vision_config": _VISION,
                                   "projection_dim": 16}),
    "convnext": ("convnext", "ConvNextForImageClassification", {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1],
                                                                "image_size": 64}),
    "deit": ("deit", "DeiTForImageClassification", _VISION),
    "dinov2": ("dinov2", "Dinov2Model", {**_VISION, "mlp_ratio": 2}),
    "distilbert": ("distilbert", "DistilBertModel", {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": 200,
                                                     "max_position_embeddings": 64}),
    "electra": ("electra", "ElectraModel", {**_TEXT, "embedding_size": 16}),
    "gemma": ("gemma", "GemmaForCausalLM", _DECODER),
    "gpt2": ("gpt2", "GPT2LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 200, "n_positions": 64,
                                         "bos_token_id": 199, "eos_token_id": 199}),
    "gpt_neox": ("gpt_neox", "GPTNeoXForCausalLM", _TEXT),
    "llama": ("llama", "LlamaForCausalLM", _DECODER),
    "mistral": ("mistral", "MistralForCausalLM", _DECODER),
    "mpnet": ("mpnet", "MPNetModel", _TEXT),
    "opt": ("opt", "OPTForCausalLM", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 64,
                                      "vocab_size": 200, "max_position_embeddings": 64, "word_embed_proj_dim": 32}),
    "phi": ("phi", "PhiForCausalLM", _TEXT),
    "qwen2": ("qwen2", "Qwen2ForCausalLM", _DECODER),
    "roberta": ("roberta", "RobertaModel", _TEXT),
    "segformer": ("segformer", "SegformerForSemanticSegmentation", {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1],
                                                                    "num_attention_heads": [1, 1, 2, 2], "image_size": 64,
                                                                    "decoder_hidden_size": 32}),
    "swin": ("swin", "SwinForImageClassification", {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "image_size": 56,
                                                    "patch_size": 4, "window_size": 7}),
    "t5": ("t5", "T5Model", {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "vocab_size": 200}),
    "vit": ("vit", "ViTForImageClassification", _VISION),
    "wav2vec2": ("wav2vec2", "Wav2Vec2ForCTC", _SOUND),
    "whisper": ("whisper", "WhisperModel", {**_PAIR, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
                                             "decoder_start_token_id": 4, "num_mel_bins": 8, "max_source_positions": 50,
                                             "max_target_positions": 64}),
}  # fmt: skip
_OWN = "bidirectional_gru conformer conv_tasnet deepspeech lstm_tagger rnn_elman unet wav2letter yolo11n yolov8n_seg"


def zoo() -> dict[str, str]:
    """Each network's name and its family."""
    found = {name: family for family, names in _TORCHVISION.items() for name in names.split()}
    found |= {f"timm:{name}": "timm" for name in _TIMM.split()}
    found |= {f"hf:{name}": "transformers" for name in _TRANSFORMERS}
    return found | {f"own:{name}": "speech, recurrent and others" for name in _OWN.split()}


def builder_of(name: str, folder: Path) -> str:
    """The builder of a network of the zoo; a configuration that it needs is written into the folder."""
    place, colon, rest = name.partition(":")
    if not colon:
        return f"torchvision:{name}"
    if place == "own":
        return f"lmos.bench.zoo.networks:{rest}"
    if place != "hf":
        return name
    kind, architecture, options = _TRANSFORMERS[rest]
    path = folder / rest
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"model_type": kind, "architectures": [architecture], **options}))
    return f"hf:{path}"
