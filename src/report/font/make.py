"""Makes DejaVuSans-subset.ttf from DejaVu Sans (needs fonttools).

Usage: make.py path/to/DejaVuSans.ttf

Besides cutting the font down, it lowers every outline by 330 units: plotters
sets the baseline of bitmap text half a line below the top, which puts centred
labels too high. SVG output does not use the outlines.
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter, parse_unicodes
from fontTools.ttLib import TTFont

KEEP = (
    "0020-007E,00A0-017F,0391-03C9,2010-2027,2030-2044,2070-2099,"
    "20AC,2190-2193,2200-2265,25A0-25CF,FFFD"
)

font = TTFont(sys.argv[1])
options = Options()
options.hinting = False
options.layout_features = []
options.ignore_missing_unicodes = True
subsetter = Subsetter(options)
subsetter.populate(unicodes=parse_unicodes(KEEP))
subsetter.subset(font)
glyphs = font["glyf"]
for name in glyphs.keys():
    glyph = glyphs[name]
    if glyph.numberOfContours > 0:  # composites move with their parts
        glyph.coordinates.translate((0, -330))
        glyph.recalcBounds(glyphs)
font["head"].modified = font["head"].created
font.recalcTimestamp = False
font.save(Path(__file__).with_name("DejaVuSans-subset.ttf"))
