"""Metadata is in pyproject.toml; here, where the folders outside tinygen/ go in the wheel.

kernels/, examples/ and lessons/ stand at the top of the repository, to be read on their own, and
are installed as tinygen/kernels, tinygen/examples and tinygen/notebooks.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["tinygen", "tinygen.*"]),
        "tinygen.kernels",
        "tinygen.kernels.emulator",
        "tinygen.examples",
        "tinygen.notebooks",
    ],
    package_dir={
        "tinygen.kernels": "kernels",
        "tinygen.examples": "examples",
        "tinygen.notebooks": "lessons",
    },
    package_data={
        "tinygen": ["py.typed", "*.pyi"],
        "tinygen.ops": ["*.pyi"],
        "tinygen.data": ["*.npz", "licences/*"],
        "tinygen.metrics": ["*.npz"],
        "tinygen.models": ["pretrained/*", "nets/*.npz"],
        "tinygen.kernels": ["*.cu", "*.cuh"],
        "tinygen.kernels.emulator": ["*"],
        "tinygen.examples": ["*.py"],
        "tinygen.notebooks": ["*.ipynb", "*.md", "solutions/*.py"],
    },
)
