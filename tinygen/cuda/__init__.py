from .launch import Kernels
def emulate(path, check=True, seed=0, instances=()):
    return Kernels(path, gpu=False, check=check, seed=seed, instances=instances)
