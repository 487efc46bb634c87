{{ tag_intervals(tag_groups("after_scoring", false)) }}
