"""Trains a small network on handwritten digits with PyTorch DistributedDataParallel (gloo, CPU).

Every pod of the job runs this file. Who it is comes from the environment that the job controller sets: MASTER_ADDR,
MASTER_PORT, RANK and WORLD_SIZE. Rank 0 prints one line an epoch and, at the end, the accuracy on held-out digits; the exit
status is 1 when that is not above 0.95.
"""

import argparse
import gzip
import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def load_digits():
    """1797 images of 8x8 pixels (0..16) and their digits; every fifth image is held out."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits.csv.gz")
    with gzip.open(path, "rt") as lines:
        rows = torch.tensor([[float(cell) for cell in line.split(",")] for line in lines])
    pixels, digits = rows[:, :64] / 16.0, rows[:, 64].long()
    held_out = torch.arange(len(rows)) % 5 == 0
    return pixels[~held_out], digits[~held_out], pixels[held_out], digits[held_out]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.01)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    print(f"rank {rank} of {world} is ready", flush=True)

    pixels, digits, test_pixels, test_digits = load_digits()
    mine = slice(rank, None, world)
    pixels, digits = pixels[mine], digits[mine]
    # Every rank must take the same number of steps, or the others wait for ever.
    steps = (len(load_digits()[0]) // world) // arguments.batch

    model = DistributedDataParallel(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
    accuracy = 0.0
    for epoch in range(1, arguments.epochs + 1):
        order = torch.randperm(len(pixels))
        total = 0.0
        for step in range(steps):
            batch = order[step * arguments.batch : (step + 1) * arguments.batch]
            loss = nn.functional.cross_entropy(model(pixels[batch]), digits[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        if rank == 0:
            with torch.no_grad():
                accuracy = (model.module(test_pixels).argmax(1) == test_digits).float().mean().item()
            print(f"epoch {epoch:2d}  loss {total / steps:.4f}  accuracy {accuracy:.4f}", flush=True)

    dist.barrier()
    dist.destroy_process_group()
    if rank == 0:
        print(f"final accuracy {accuracy:.4f}", flush=True)
        return 0 if accuracy > 0.95 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
