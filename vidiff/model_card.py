"""The README that is saved with a model."""

from __future__ import annotations

from shards import Dataset
from vidiff.checkpoint import Position
from vidiff.data import mixture
from vidiff.settings import TrainSettings

_CARD = """---
library_name: diffusers
pipeline_tag: video-to-video
tags: [vidiff, video, diffusion]
---
# VIDiff, trained for {steps} steps

Translates a video as an instruction says. Tasks it has seen: {tasks}. Trained for {minutes:.1f} minutes
(smoothed loss {loss:.4f}) on clips of {window} frames at {size} px, dataset `{dataset}`.

```python
from vidiff import VIDiffPipeline
pipe = VIDiffPipeline.from_pretrained("path/of/this/folder")
frames = pipe(clip, "Remove the haze.").frames  # clip: uint8 [t h w 3], t <= {window}
```

The weights are averages over the run. What it was not trained on, it does not know: a few minutes of training on a few
videos give a model for those tasks and similar scenes, not a general editor.

## Recipe
```yaml
{recipe}```
"""


def model_card(settings: TrainSettings, dataset: Dataset, position: Position) -> str:
    """Return the card as Markdown."""
    return _CARD.format(
        steps=position.step,
        tasks=", ".join(mixture(dataset, settings.data)),
        minutes=position.seconds / 60,
        loss=position.loss,
        window=settings.model.window,
        size=settings.model.size,
        dataset=dataset.manifest.sha256[:12],
        recipe=settings.to_yaml(),
    )
