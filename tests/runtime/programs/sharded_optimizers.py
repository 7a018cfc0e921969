"""Every optimizer of ours on sharded weights (FSDP2) beside the same one on whole weights; prints gaps."""

import copy
from functools import partial

import torch
from fgc_runtime.distributed import World, disconnect
from fgc_runtime.optim import Adafactor, Apollo, BFloat16AdamW, GaLore, Lion, SinkGD, muon, weight_decay_groups
from torch import nn
from torch.distributed.fsdp import fully_shard

FACTORIES = {
    "Adafactor": partial(Adafactor, beta1=0.9, scale_parameter=True),
    "Apollo": partial(Apollo, rank=2, update_interval=2),
    "ApolloMini": partial(Apollo, rank=1, per_tensor=True),
    "BFloat16AdamW": BFloat16AdamW,
    "GaLore": partial(GaLore, rank=2, update_interval=2),
    "Lion": Lion,
    "Muon": partial(muon, muon_lr=0.01),
    "SinkGD": SinkGD,
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 5))


def learn(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    inputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        model(inputs).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def gap(factory: partial[torch.optim.Optimizer]) -> tuple[float, float]:
    """Between the two after the last step, and between the first weight and the last."""
    begin, whole = network(), network()
    sharded = copy.deepcopy(whole)
    fully_shard(sharded)
    for model in (whole, sharded):
        learn(model, factory(weight_decay_groups(model), lr=0.01, weight_decay=0.1))
    trios = list(zip(whole.parameters(), sharded.parameters(), begin.parameters(), strict=True))
    apart = max((a - b.full_tensor()).abs().max().item() for a, b, _ in trios)
    return apart, min((a - c).abs().max().item() for a, _, c in trios)


if __name__ == "__main__":
    torch.set_num_threads(1)
    world = World.connect(use_cpu=True)
    for name, factory in FACTORIES.items():
        apart, moved = gap(factory)
        if world.is_main:
            print(name, apart, moved, flush=True)
    disconnect()
