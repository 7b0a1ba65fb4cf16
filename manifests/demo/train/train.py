"""Trains four versions of a digit classifier and writes each as a folder that MLServer loads.

Versions 1, 2 and 4 are good; they differ in the size of the forest. Version 3 has the mistake
of a real accident: it was trained on images from which the empty-looking border column had been cut
off, so it expects 56 pixels where every client sends 64. It loads, it reports ready, and it refuses
every request: exactly the failure that no readiness probe sees and a canary is for.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

RUNTIME_SOURCE = Path(__file__).with_name("model.py")
TRAINING_IMAGES = 1400
IMAGE_SIDE_PIXELS = 8

VERSIONS = {
    "v1": {"n_estimators": 150, "max_depth": None, "columns": IMAGE_SIDE_PIXELS},
    "v2": {"n_estimators": 165, "max_depth": 12, "columns": IMAGE_SIDE_PIXELS},
    "v3": {"n_estimators": 150, "max_depth": None, "columns": IMAGE_SIDE_PIXELS - 1},
    "v4": {"n_estimators": 158, "max_depth": 12, "columns": IMAGE_SIDE_PIXELS},
}


def train(version: str, folder: Path) -> None:
    """Fit one version and write its folder whole: a reader sees all of it or nothing."""
    settings = VERSIONS[version]
    digits = load_digits()
    pixels = digits.images[:, :, : settings["columns"]].reshape(len(digits.images), -1)
    forest = RandomForestClassifier(
        n_estimators=settings["n_estimators"], max_depth=settings["max_depth"], random_state=7, n_jobs=1
    )
    forest.fit(pixels[:TRAINING_IMAGES], digits.target[:TRAINING_IMAGES])
    accuracy = forest.score(pixels[TRAINING_IMAGES:], digits.target[TRAINING_IMAGES:])

    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    joblib.dump(forest, unfinished / "model.joblib")
    shutil.copyfile(RUNTIME_SOURCE, unfinished / "model.py")
    (unfinished / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "digits",
                "implementation": "model.Digits",
                "parameters": {"uri": "./model.joblib", "version": version},
            },
            indent=2,
        )
    )
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)
    print(f"{version}: {settings['n_estimators']} trees on {pixels.shape[1]} pixels, accuracy {accuracy:.3f}")


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MODELS_DIRECTORY", "/mnt/models"))
    for version in VERSIONS:
        train(version, root / "digits" / version)


if __name__ == "__main__":
    main()
