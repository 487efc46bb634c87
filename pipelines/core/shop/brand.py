"""The brand: Hemu (禾沐), which does not exist. What it sells, where, and with which coupons.

The content is the same for every seed; only dates follow the shop's first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import cos, radians
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.core.shop.season import Season
from pipelines.core.shop.streams import Array, Lottery
from pipelines.core.shop.tables import NULL, Rows, objects, rows

CHANNELS = (
    "store",
    "miniapp",
    "web",
    "taobao",
    "tmall",
    "jd",
    "douyin_live",
    "wecom",
    "distributor",
    "other",
)
STORE, MINIAPP, DOUYIN, WECOM, DISTRIBUTOR = (
    CHANNELS.index(name) for name in ("store", "miniapp", "douyin_live", "wecom", "distributor")
)
SHOP_IDS = tuple(f"SHOP-{name.upper()}" for name in CHANNELS)
SHELF = 64
SEASON_DAYS = 84  # products land again, with the next specials, at the start of each


class Category(NamedTuple):
    """A category of the second level, its kinds and sizes, and how it is bought again.

    `kinds` are `code 中文 english`, `sizes` are `printed percent` of the category's price and
    days, both parted by commas; `scenarios` are codes.
    """

    code: str
    above: str
    name_zh: str
    name_en: str
    repurchase_type: str
    cycle_days: int
    gap_shape: int
    price_minor: int
    popularity: int
    kinds: str
    sizes: str
    scenarios: str = ""

    def products(self) -> list[tuple[str, str, str, str, int]]:
        """Each kind in each size: code, Chinese, English, size as printed, percent."""
        kinds = [kind.split(maxsplit=2) for kind in self.kinds.split(",")]
        sizes = [size.split() for size in self.sizes.split(",")]
        return [(k[0], k[1], k[2], s[0], int(s[1])) for k, s in product(kinds, sizes)]


CATEGORIES = (
    Category("cleanser", "skincare", "洁面", "cleanser", "consumable", 45, 5, 7900, 12,
             "amino 氨基酸 amino acid, foam 泡沫 foam, oil 卸妆油 oil", "100g 100, 150g 140"),
    Category("toner", "skincare", "爽肤水", "toner", "consumable", 50, 5, 12900, 10,
             "moist 保湿 moisturising, clear 清爽 clarifying, calm 舒缓 soothing",
             "150ml 100, 300ml 180"),
    Category("serum", "skincare", "精华", "serum", "consumable", 60, 4, 25900, 9,
             "c 维C vitamin C, hya 玻尿酸 hyaluronic, peptide 多肽 peptide", "30ml 100, 50ml 150"),
    Category("cream", "skincare", "面霜", "cream", "consumable", 65, 5, 19900, 10,
             "rich 滋润 rich, gel 凝霜 gel, repair 修护 repair", "50g 100, 80g 150"),
    Category("mask", "skincare", "面膜", "mask", "fast_moving", 25, 2, 9900, 12,
             "sheet 补水 hydrating, mud 清洁 clay, sleep 睡眠 sleeping", "5p 100, 10p 185",
             "travel"),
    Category("sunscreen", "skincare", "防晒", "sunscreen", "consumable", 55, 3, 11900, 6,
             "daily 日常 daily, sport 运动 sport, kids 儿童 kids", "40ml 100, 60ml 140", "outdoor"),
    Category("lip", "beauty", "唇部", "lip care", "fast_moving", 35, 2, 5900, 6,
             "balm 润唇膏 balm, tint 唇釉 tint", "3g 100, 6g 180"),
    Category("fragrance", "beauty", "香氛", "fragrance", "fast_moving", 75, 2, 16900, 3,
             "wood 木质 wood, tea 茶香 tea", "30ml 100, 50ml 150", "gift"),
    Category("shampoo", "personal", "洗发水", "shampoo", "consumable", 48, 6, 6900, 9,
             "smooth 柔顺 smoothing, oilctl 控油 oil control, scalp 头皮 scalp care",
             "400ml 100, 750ml 170"),
    Category("body", "personal", "沐浴露", "body wash", "consumable", 42, 6, 5900, 8,
             "milk 牛奶 milk, citrus 柑橘 citrus", "500ml 100, 1l 180"),
    Category("oral", "personal", "口腔护理", "oral care", "consumable", 35, 6, 3900, 8,
             "paste 牙膏 toothpaste, rinse 漱口水 mouthwash", "1p 100, 3p 270", "travel"),
    Category("hand", "personal", "护手霜", "hand cream", "consumable", 38, 3, 3500, 5,
             "shea 乳木果 shea, rose 玫瑰 rose", "50g 100, 100g 170", "gift"),
    Category("laundry", "home", "洗衣液", "laundry", "consumable", 40, 7, 4900, 9,
             "plain 原味 unscented, baby 婴儿 baby, pods 凝珠 pods", "2kg 100, 3kg 140", "family"),
    Category("dish", "home", "洗洁精", "dish soap", "consumable", 33, 6, 2500, 6,
             "lemon 柠檬 lemon, herb 草本 herb", "1kg 100, 2kg 180", "family"),
    Category("tissue", "home", "纸品", "tissue", "consumable", 24, 7, 3900, 9,
             "face 抽纸 facial, roll 卷纸 roll", "12p 100, 24p 185", "family"),
    Category("device", "home", "小家电", "device", "durable", 220, 2, 39900, 2,
             "brush 洁面仪 face brush, mist 加湿器 humidifier", "1p 100", "gift"),
    Category("card", "service", "储值卡", "stored-value card", "durable", 120, 2, 50000, 0,
             "gift 礼品 gift", "500 100, 1000 200"),
)  # fmt: skip
CARD = len(CATEGORIES) - 1
CITIES = (
    ("上海", "Shanghai", 31.2304, 121.4737, 8),
    ("北京", "Beijing", 39.9042, 116.4074, 6),
    ("广州", "Guangzhou", 23.1291, 113.2644, 5),
    ("深圳", "Shenzhen", 22.5431, 114.0579, 5),
    ("杭州", "Hangzhou", 30.2741, 120.1551, 4),
    ("成都", "Chengdu", 30.5728, 104.0668, 4),
    ("武汉", "Wuhan", 30.5928, 114.3055, 2),
    ("南京", "Nanjing", 32.0603, 118.7969, 2),
)
STORES = sum(city[4] for city in CITIES)
STORE_IDS = tuple(f"ST{i:03d}" for i in range(1, STORES + 1))
STAFF_A_STORE, CHAT_STAFF = 4, 20
STAFF_IDS = tuple(f"EMP{i:04d}" for i in range(1, STORES * STAFF_A_STORE + CHAT_STAFF + 1))
ACQUISITION_CODES = tuple(f"QR{i:03d}" for i in range(1, 33))
HOMES = 64  # places of residence a store draws from
METRES_A_DEGREE = 111_320


@dataclass(frozen=True)
class Assortment:
    """The products as vectors, by position of the SKU."""

    sku_ids: tuple[str, ...]
    category: Array
    price_minor: Array
    cost_minor: Array
    days: Array
    launched: Array  # index of the day it is first sold
    shelf: Array  # [category, ticket] -> SKU
    staple: Array  # by category: a SKU older than the shop
    special: Array  # by day: the SKU on special, or NULL
    table: dict[str, list[object]]


def assortment(season: Season) -> Assortment:
    """Every SKU of the brand, and the weekly special of each Friday."""
    table: dict[str, list[object]] = {}
    category: list[int] = []
    launched: list[int] = []
    for place, c in enumerate(CATEGORIES):
        for kind, zh, en, size, pct in c.products():
            number = len(category)
            category.append(place)
            launched.append(_launch(number, place))
            row = {
                "sku_id": f"SKU{number + 1:04d}",
                "spu_id": f"SPU-{c.code}-{kind}",
                "name_zh": f"禾沐{zh}{c.name_zh} {size}",
                "name_en": f"Hemu {en} {c.name_en} {size}",
                "category_l1": c.above,
                "category_l2": c.code,
                "category_l3": f"{c.code}_{kind}",
                "repurchase_type": c.repurchase_type,
                "unit_size": size,
                "days_per_unit": c.cycle_days * pct // 100,
                "price_minor": c.price_minor * pct // 100,
                "scenario_codes": tuple(c.scenarios.split()),
            }
            for name, value in row.items():
                table.setdefault(name, []).append(value)
    where, old = np.array(category), np.array(launched) < 0
    price = np.array(table["price_minor"], np.int64)
    return Assortment(
        sku_ids=tuple(str(sku) for sku in table["sku_id"]),
        category=where,
        price_minor=price,
        cost_minor=price * (25 + where * 7 % 20) // 100,
        days=np.array(table["days_per_unit"], np.int64),
        launched=np.array(launched, np.int32),
        shelf=np.stack([_shelf(np.flatnonzero(where == c)) for c in range(len(CATEGORIES))]),
        staple=np.array([np.flatnonzero((where == c) & old)[0] for c in range(len(CATEGORIES))]),
        special=_specials(season, np.flatnonzero((where < CARD) & old)),
        table=table,
    )


def _launch(number: int, category: int) -> int:
    """Most SKUs are older than the shop; every eleventh arrives in its first years."""
    return 40 + 25 * (number // 11) if number % 11 == 10 and category < CARD else -200 - number


def _shelf(skus: Array) -> Array:
    """Tickets to SKUs: each next one sells a third less than the one before it."""
    weights = (30 * 0.66 ** np.arange(len(skus))).astype(int) + 1
    tickets = np.repeat(skus, weights)
    return tickets[np.arange(SHELF) * len(tickets) // SHELF]


def _specials(season: Season, skus: Array) -> Array:
    friday = season.weekday == 4
    return np.where(friday, skus[np.arange(season.days) // 7 * 5 % len(skus)], NULL).astype(
        np.int16
    )


def product_rows(goods: Assortment, season: Season, quarter: int) -> Rows | None:
    """The product table as it lands at the start of a quarter: what is new or changed then."""
    start, end = quarter * SEASON_DAYS, (quarter + 1) * SEASON_DAYS
    planned = goods.special[:end]
    which, land = [], []
    for sku, day in enumerate(goods.launched.tolist()):
        special = (planned[start:] == sku).any()
        if start <= day < end or (day < start and (special or quarter == 0)):
            which.append(sku)
            land.append(max(day, start))
    if not which:
        return None
    n = len(which)
    columns = {name: objects([values[i] for i in which]) for name, values in goods.table.items()}
    heroes = [tuple(season.day(d) for d in np.flatnonzero(planned == i).tolist()) for i in which]
    versions = [f"V{1 + int((planned[:start] == i).sum()) // 2}" for i in which]
    return rows(
        n,
        np.array(land, np.int32),
        **columns,
        launched_at=season.midnight(goods.launched[which]),
        retired_at=NULL,
        creative_version=objects(versions),
        hero_dates=objects(heroes),
    )


@dataclass(frozen=True)
class Place:
    """Where the stores are and where their members live."""

    rows: Rows
    geohashes: tuple[str, ...]  # HOMES a store


def places(rng: np.random.Generator, season: Season) -> Place:
    """The stores, in their cities, and homes up to some eight kilometres around each."""
    table: dict[str, list[object]] = {"name": [], "lat": [], "lng": [], "coord_system": []}
    homes: list[str] = []
    for zh, en, lat, lng, stores in CITIES:
        for number in range(1, stores + 1):
            at = _near(rng, lat, lng, 1, 12_000)[0]
            table["name"].append(f"禾沐{zh}{number}店 Hemu {en} {number}")
            table["lat"].append(at[0])
            table["lng"].append(at[1])
            table["coord_system"].append("wgs84" if len(homes) % (9 * HOMES) == 0 else "gcj02")
            homes += [geohash(*home) for home in _near(rng, *at, HOMES, 8_000)]
    found = rows(
        STORES,
        np.zeros(STORES, np.int32),
        store_id=np.arange(STORES),
        shop_id=STORE,
        **{name: objects(values) for name, values in table.items()},
        opened_at=season.midnight(-100 - 30 * np.arange(STORES)),
        closed_at=NULL,
        tz=objects(["Asia/Shanghai"] * STORES),
    )
    return Place(found, tuple(homes))


def _near(
    rng: np.random.Generator, lat: float, lng: float, n: int, metres: int
) -> list[tuple[float, float]]:
    """Places around a point, most of them near."""
    spread = metres / METRES_A_DEGREE
    offsets = (rng.random((n, 2)) + rng.random((n, 2)) - 1) * spread
    return [
        (round(lat + float(dy), 6), round(lng + float(dx) / cos(radians(lat)), 6))
        for dy, dx in offsets
    ]


def geohash(lat: float, lng: float, length: int = 6) -> str:
    """The geohash of a point."""
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    bits = 0
    for step in range(length * 5):
        bound, value = bounds[step % 2], (lng, lat)[step % 2]
        middle = (bound[0] + bound[1]) / 2
        bits = bits * 2 + (value >= middle)
        bound[value < middle] = middle
    alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
    return "".join(alphabet[bits >> 5 * (length - 1 - i) & 31] for i in range(length))


class Template(NamedTuple):
    """A kind of coupon. `min_spend_minor` is what the goods must come to after promotions."""

    template_id: str
    role: str
    discount_type: str
    value_minor: int | None
    percent_bp: int | None
    min_spend_minor: int
    valid_days: int
    condition: str = "any"
    promotion_id: str | None = None
    pair_template_id: str | None = None
    unit_cost_minor: int = 20


TRAFFIC, RETENTION, OTHER = 0, 1, 2
TEMPLATES = (
    Template("CT-MD-T", "traffic", "amount", 2000, None, 9900, 13, "any", "P-MEMBERDAY", "CT-MD-R"),
    Template("CT-MD-R", "retention", "amount", 3000, None, 16900, 45, "repeat_buyer",
             "P-MEMBERDAY", "CT-MD-T"),
    Template("CT-EV-T", "traffic", "amount", 1000, None, 5900, 10, "any", None, "CT-EV-R"),
    Template("CT-EV-R", "retention", "amount", 2500, None, 15900, 40, "repeat_buyer", None,
             "CT-EV-T"),
    Template("CT-WIN-T", "traffic", "percent", None, 1500, 7900, 15, "any", None, "CT-WIN-R"),
    Template("CT-WIN-R", "retention", "percent", None, 1000, 12900, 60, "repeat_buyer", None,
             "CT-WIN-T"),
    Template("CT-NEW-T", "traffic", "amount", 1500, None, 4900, 15, "any", None, "CT-NEW-R"),
    Template("CT-NEW-R", "retention", "amount", 2000, None, 9900, 60, "repeat_buyer", None,
             "CT-NEW-T"),
    Template("CT-SORRY", "other", "amount", 2000, None, 0, 60),
    Template("CT-BIRTHDAY", "other", "amount", 3000, None, 9900, 30),
)  # fmt: skip
MEMBER_DAY, EVERYDAY, WON, WELCOME, SORRY, BIRTHDAY = 0, 2, 4, 6, 8, 9
TEMPLATE_ROLE = np.array(
    [("traffic", "retention", "other").index(t.role) for t in TEMPLATES], np.int8
)
TEMPLATE_DAYS = np.array([t.valid_days for t in TEMPLATES], np.int32)
TEMPLATE_VALUE = np.array([t.value_minor or 0 for t in TEMPLATES], np.int64)
TEMPLATE_BP = np.array([t.percent_bp or 0 for t in TEMPLATES], np.int64)
TEMPLATE_MIN = np.array([t.min_spend_minor for t in TEMPLATES], np.int64)
TEMPLATE_COLUMNS = {
    name: pa.int64()
    if name in {"value_minor", "percent_bp", "min_spend_minor", "valid_days", "unit_cost_minor"}
    else pa.string()
    for name in Template._fields
}


def template_rows() -> Rows:
    """The coupon templates, all known on the first day."""
    columns = {
        name: objects([getattr(template, name) for template in TEMPLATES])
        for name in Template._fields
    }
    n = len(TEMPLATES)
    scope = objects(["{}"] * n)
    land = np.zeros(n, np.int32)
    return rows(n, land, **columns, scope=scope, valid_from=NULL, valid_to=NULL)


def category_lottery() -> Lottery:
    """Categories by how many buy them."""
    return Lottery(*(category.popularity for category in CATEGORIES))
