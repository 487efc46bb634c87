"""Huitou: orders, survey answers and coupon redemptions in; member tags and churn risk out."""
