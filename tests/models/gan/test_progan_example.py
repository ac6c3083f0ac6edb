"""examples/progan.py: at full size at once; sampled and resumed while it grows."""

from pathlib import Path

from examples import checked, run

SHORT = "--steps 3 --batch 8 --width 2 --most 4 --side 8 --stage-steps 2".split()


def test_at_once_and_by_another_objective(tmp_path: Path) -> None:
    said = checked(tmp_path, "progan", *SHORT, "--grow", "off", "--objective", "wgan_gp",
                   "--target", 1e6)  # fmt: skip
    assert "8 pixels at once" in said and "Frechet 1e+06 first reached after" in said


def test_samples_of_a_stage_on_the_way_and_no_resume_with_others(tmp_path: Path) -> None:
    checked(tmp_path, "progan", *SHORT, "--data", "digits")
    sampled = checked(tmp_path, "sample", "runs/progan/last.npz", "--n", 4)
    assert "4 samples of a progan" in sampled
    done = run(tmp_path, "progan", *SHORT, "--data", "digits", "--resume", "--stage-steps", 3)
    assert done.returncode and "it was grown by other stages: 4, 8 pixels, 2 steps each" in (
        done.stderr
    )
