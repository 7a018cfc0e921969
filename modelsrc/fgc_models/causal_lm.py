"""A decoder-only language model: tokens so far to scores of the next token.

The classes take the names that transformers, its tensor and pipeline plans, and vLLM know: `model.embed_tokens`,
`model.layers`, `model.norm`, `lm_head`. The compiler replaces `Decoder` in the class names by the model's own name, and
the call `super()._init_weights(module)` by the rules of an `Initializer`, if there is one.
"""

# transformers is typed in parts only, and its classes want plain lists as attributes
# mypy: disable-error-code="no-untyped-call, untyped-decorator"
# ruff: noqa: RUF012

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast, MoeCausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from fgc_models.initializers import Initializer
from fgc_models.moe import recorded_logits, require_gradient, share_of_items
from fgc_models.packing import flash_sequences, packed_positions


class DecoderPreTrainedModel(PreTrainedModel):
    """Tells transformers what it wants to know of the model, and fills its weights at the beginning."""

    config: PreTrainedConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = []  # the compiler fills in the layer classes
    _skip_keys_device_placement = ["past_key_values"]
    _keep_in_fp32_modules_strict = []  # the compiler fills in what components say
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {
        "hidden_states": GradientCheckpointingLayer,
        "attentions": "self_attn",
    }

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if (init_buffers := getattr(module, "init_buffers", None)) is not None:
            # from_pretrained leaves buffers that are not saved uninitialised
            init_buffers()


class DecoderModel(DecoderPreTrainedModel):
    """Token embeddings, a stack of layers, a final norm."""

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        embedding: Callable[[], nn.Embedding],
        positional_encoding: Callable[[], nn.Module] | None = None,
        local_positional_encoding: Callable[[], nn.Module] | None = None,
        positional_embedding: Callable[[], nn.Module] | None = None,
        position_bias: Callable[[], nn.Module] | None = None,
        embedding_dropout: Callable[[], nn.Module] | None = None,
        layer: Callable[[int], nn.Module],
        num_layers: int,
        norm: Callable[[], nn.Module] | None = None,
        windows: str = "none",
        initializer: Callable[[], Initializer] | None = None,
    ) -> None:
        """`windows` says which layers see the last `config.sliding_window` positions only.

        Either "none", "every_layer", or "by_layer": those that `config.layer_types` calls
        "sliding_attention" and not "full_attention". `local_positional_encoding` is that of the
        layers with a window, if theirs differs. `initializer` holds the rules of `_init_weights`.
        """
        super().__init__(config)
        if windows not in ("none", "every_layer", "by_layer"):
            raise ValueError(f"windows is {windows!r}; it must be none, every_layer or by_layer")
        if windows != "none" and position_bias is not None:
            raise ValueError("a position bias looks at all positions: it does not go with windows")
        self.embed_tokens = embedding()
        self.embed_positions = positional_embedding() if positional_embedding is not None else None
        self.dropout = embedding_dropout() if embedding_dropout is not None else None
        self.rotary_emb = positional_encoding() if positional_encoding is not None else None
        self.rotary_emb_local = local_positional_encoding() if local_positional_encoding is not None else None
        self.position_bias = position_bias() if position_bias is not None else None
        self.layers = nn.ModuleList(layer(layer_idx) for layer_idx in range(num_layers))
        self.norm = norm() if norm is not None else None
        self.windows = windows
        self.gradient_checkpointing = False
        self.post_init()

    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        sequence_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """`sequence_ids` (batch, time) number the sequences packed into a row: none sees another."""
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("give either input_ids or inputs_embeds")
            inputs_embeds = self.embed_tokens(input_ids)
        elif input_ids is not None:
            raise ValueError("give input_ids or inputs_embeds, not both")

        if use_cache is None:
            use_cache = self.config.use_cache and not self.training and sequence_ids is None
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        mask_positions = None
        if past_key_values is None and "cu_seq_lens_q" not in kwargs:
            mask_positions = packed_positions(self.config, sequence_ids, position_ids, attention_mask)
        elif sequence_ids is not None:
            raise ValueError("packed sequences go without a cache: use_cache=False")
        if mask_positions is not None:
            attention_mask = None
            kwargs |= flash_sequences(self.config, mask_positions)
        if position_ids is None and mask_positions is not None:
            position_ids = mask_positions
        elif position_ids is None:
            seen = 0 if past_key_values is None else past_key_values.get_seq_length()
            new = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device)
            position_ids = new.unsqueeze(0) + seen
        if mask_positions is None:
            mask_positions = position_ids

        if self.position_bias is not None:
            # a stage of a pipeline fills the cache of its own layers only
            first_layer = [isinstance(layer, nn.Identity) for layer in self.layers].index(False)
            mask = create_causal_mask(
                config=self.config,
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_ids=mask_positions,
                layer_idx=first_layer,
                allow_is_causal_skip=False,
            )
            seen = 0 if past_key_values is None else past_key_values.get_query_offset(first_layer)
            mask = self.position_bias(mask, inputs_embeds.dtype, seen)
        elif self.windows == "none" or (self.windows == "every_layer" and self.config.sliding_window is None):
            mask = create_causal_mask(
                config=self.config,
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_ids=mask_positions,
            )
        elif self.windows == "every_layer":
            mask = create_sliding_window_causal_mask(
                config=self.config,
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_ids=mask_positions,
            )
        elif isinstance(attention_mask, dict):
            masks = attention_mask  # generate() prepares one of each kind for a static cache
        else:
            arguments: dict[str, Any] = {
                "config": self.config,
                "inputs_embeds": inputs_embeds,
                "attention_mask": attention_mask,
                "past_key_values": past_key_values,
                "position_ids": mask_positions,
            }
            masks = {
                "full_attention": create_causal_mask(**arguments),
                "sliding_attention": create_sliding_window_causal_mask(**arguments),
            }
        if self.rotary_emb_local is not None:
            assert self.rotary_emb is not None, "layers without a window have no positions"
            position_embeddings = {
                "full_attention": self.rotary_emb(inputs_embeds, position_ids),
                "sliding_attention": self.rotary_emb_local(inputs_embeds, position_ids),
            }
        elif self.rotary_emb is not None:
            kwargs["position_embeddings"] = self.rotary_emb(inputs_embeds, position_ids)

        hidden_states = inputs_embeds
        # later stages of a pipeline are given hidden states as embeddings: theirs have positions already
        if not isinstance(self.layers[0], nn.Identity):
            if self.embed_positions is not None:
                hidden_states = hidden_states + self.embed_positions(position_ids).to(hidden_states.dtype)
            if self.dropout is not None:
                hidden_states = self.dropout(hidden_states)
        if self.windows == "by_layer":
            for layer, layer_type in zip(self.layers, self.config.layer_types, strict=True):
                if self.rotary_emb_local is not None:
                    kwargs["position_embeddings"] = position_embeddings[layer_type]
                hidden_states = layer(
                    hidden_states,
                    attention_mask=masks[layer_type],
                    position_ids=position_ids,
                    past_key_values=past_key_values,
                    use_cache=use_cache,
                    **kwargs,
                )
        else:
            for layer in self.layers:
                hidden_states = layer(
                    hidden_states,
                    attention_mask=mask,
                    position_ids=position_ids,
                    past_key_values=past_key_values,
                    use_cache=use_cache,
                    **kwargs,
                )
        if self.norm is not None:
            hidden_states = self.norm(hidden_states)
        return BaseModelOutputWithPast(last_hidden_state=hidden_states, past_key_values=past_key_values)


class DecoderForCausalLM(DecoderPreTrainedModel, GenerationMixin):
    """The decoder with a head that scores every token of the vocabulary."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}
    _tp_plan = {"lm_head": "colwise_gather_output"}
    _pp_plan: dict[str, Any] = {"lm_head": (["hidden_states"], ["logits"])}
    _fsdp_plan = {"lm_head": "keep_full_weight"}

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        decoder: Callable[[PreTrainedConfig], nn.Module],
        lm_head: Callable[[], nn.Module],
        logit_divisor: float | None = None,
        logit_softcap: float | None = None,
        router_loss: Callable[[], nn.Module] | None = None,
        has_routers: bool = False,
    ) -> None:
        """`logit_divisor` divides the logits; `logit_softcap` presses logits z into softcap * tanh(z / softcap).

        `router_loss` is added to the loss `config.router_aux_loss_coef` times. `has_routers` says of layers with
        routers and no such loss that they are there: their logits can be asked for.
        """
        super().__init__(config)
        self.model = decoder(config)
        self.lm_head = lm_head()
        self.logit_divisor = logit_divisor
        self.logit_softcap = logit_softcap
        self.router_loss = router_loss() if router_loss is not None else None
        self.has_routers = has_routers
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        sequence_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast | MoeCausalLMOutputWithPast:
        if labels is not None:
            # given a cache, transformers would not keep packed sequences apart
            use_cache = False
        if self.router_loss is not None:
            is_usual = self.config.output_router_logits and (labels is not None or past_key_values is None)
            recorded: list[Tensor] | None = [] if kwargs.pop("output_router_logits", is_usual) else None
            # not by hooks of the base model: these cannot be pickled
            kwargs["output_router_logits"] = False
            token = recorded_logits.set(recorded)
        try:
            outputs = self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                inputs_embeds=inputs_embeds,
                use_cache=use_cache,
                sequence_ids=sequence_ids,
                **kwargs,
            )
        finally:
            if self.router_loss is not None:
                recorded_logits.reset(token)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        if self.logit_divisor is not None:
            logits = logits / self.logit_divisor
        if self.logit_softcap is not None:
            logits = self.logit_softcap * torch.tanh(logits / self.logit_softcap)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs)
        if self.router_loss is not None:
            router_logits: Any = None if recorded is None else tuple(recorded)
            aux_loss = None
            if router_logits is not None:
                aux_loss = self.router_loss(router_logits, attention_mask)
                if labels is not None:
                    if self.training and torch.is_grad_enabled() and self.model.is_gradient_checkpointing:
                        require_gradient(self.model, router_logits)
                    share = share_of_items(labels, kwargs.get("num_items_in_batch"))
                    loss = loss + self.config.router_aux_loss_coef * share * aux_loss
            return MoeCausalLMOutputWithPast(
                loss=loss,
                aux_loss=aux_loss,
                logits=logits,
                past_key_values=outputs.past_key_values,
                hidden_states=outputs.hidden_states,
                attentions=outputs.attentions,
                router_logits=router_logits,
            )
        if self.has_routers:
            return MoeCausalLMOutputWithPast(
                loss=loss,
                logits=logits,
                past_key_values=outputs.past_key_values,
                hidden_states=outputs.hidden_states,
                attentions=outputs.attentions,
                router_logits=outputs.get("router_logits"),
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )
