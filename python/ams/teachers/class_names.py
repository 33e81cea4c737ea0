"""Names of the classes of public data sets, by the ids that networks give."""

from __future__ import annotations

import difflib

from ..errors import InvalidArgumentError


def _words(text: str) -> tuple[str, ...]:
    """Names apart by commas."""
    return tuple(name.strip() for name in text.split(","))


_CITYSCAPES = _words(
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, "
    "terrain, sky, person, rider, car, truck, bus, train, motorcycle, bicycle"
)
_CAMVID = _words(
    "sky, building, pole, road, pavement, tree, sign symbol, fence, car, pedestrian, bicyclist"
)
_VOC = _words(
    "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, dining table, "
    "dog, horse, motorbike, person, potted plant, sheep, sofa, train, tv monitor"
)
# By the ids of the annotations; the unused ones are "N/A".
_COCO_91 = _words(
    "background, person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, "
    "traffic light, fire hydrant, N/A, stop sign, parking meter, bench, bird, cat, dog, horse, "
    "sheep, cow, elephant, bear, zebra, giraffe, N/A, backpack, umbrella, N/A, N/A, handbag, tie, "
    "suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, "
    "skateboard, surfboard, tennis racket, bottle, N/A, wine glass, cup, fork, knife, spoon, bowl, "
    "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, "
    "potted plant, bed, N/A, dining table, N/A, N/A, toilet, N/A, tv, laptop, mouse, remote, "
    "keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, N/A, book, clock, vase, "
    "scissors, teddy bear, hair drier, toothbrush"
)
_COCO_80 = tuple(name for name in _COCO_91[1:] if name != "N/A")
_ADE20K = _words(
    "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, "
    "person, earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa, "
    "shelf, house, sea, mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp, "
    "bathtub, railing, cushion, base, box, column, signboard, chest of drawers, counter, sand, "
    "sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, "
    "pool table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, "
    "toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, computer, "
    "swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, "
    "awning, streetlight, booth, television receiver, airplane, dirt track, apparel, pole, land, "
    "bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, "
    "conveyer belt, canopy, washer, plaything, swimming pool, stool, barrel, basket, waterfall, "
    "tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave, pot, "
    "animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, "
    "traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, "
    "radiator, glass, clock, flag"
)

_LISTS = {
    "ade20k": _ADE20K,
    "camvid": _CAMVID,
    "camvid12": (*_CAMVID, "unlabelled"),
    "cityscapes": _CITYSCAPES,
    "coco80": _COCO_80,
    "coco91": _COCO_91,
    "voc": _VOC,
}


def class_names(data_set: str) -> tuple[str, ...]:
    """Names of the classes of a public data set, by id.

    data_set: "ade20k" (150 classes), "camvid" (11), "camvid12" (with "unlabelled" behind),
    "cityscapes" (19), "coco80", "coco91" (by annotation id, as torchvision and DETR give them) or
    "voc" (21 with "background"). Raises ams.InvalidArgumentError that names near ones.
    """
    found = _LISTS.get(data_set.lower())
    if found is None:
        near = difflib.get_close_matches(data_set.lower(), _LISTS, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise InvalidArgumentError(
            f"there is no list of class names '{data_set}': {hint}known are {', '.join(_LISTS)}; "
            "give any other list as a sequence of names"
        )
    return found
