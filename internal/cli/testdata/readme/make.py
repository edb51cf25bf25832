"""Makes the checkpoints of README.md's examples with real PyTorch (1.13.1): python3 make.py"""
import torch
from torch import nn



class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential()
        self.backbone.add_module("conv1", nn.Conv2d(3, 8, 3, bias=False))
        self.backbone.add_module("bn1", nn.BatchNorm2d(8))
        self.fc = nn.Linear(8, classes)


torch.manual_seed(0)
# What a training script leaves: everything below "state_dict", every key with DataParallel's "module.".
model = Net(10)
wrapped = nn.Module()
wrapped.module = model
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for p in model.parameters():
    p.grad = torch.zeros_like(p)
optimizer.step()
torch.save({"epoch": 90, "arch": "net", "state_dict": wrapped.state_dict(), "best_acc1": 76.13, "optimizer": optimizer.state_dict()}, "checkpoint.pth.tar")
# What the new model, with 5 classes instead of 10, wants.
torch.save(Net(5).state_dict(), "mymodel.pth")
