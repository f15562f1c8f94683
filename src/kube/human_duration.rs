//! How long ago, as kubectl has it: `<invalid>`, `0s`, `119s`, `5m10s`, `3h`, `20d`, `2y35d`.
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/util/duration/duration.go`, 1.35.

/// A length of time in at most two units, the coarser the longer it is.
pub fn human_duration(seconds: i64) -> String {
    let minutes = seconds.div_euclid(60);
    let hours = seconds.div_euclid(3600);
    let days = seconds.div_euclid(86400);
    // The second unit is left out where it is zero.
    let two = |first: i64, unit: char, second: i64, lesser: char| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit}{second}{lesser}"),
    };
    match seconds {
        // Clocks that differ by a second are no fault.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, 'm', seconds.rem_euclid(60), 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, 'h', minutes.rem_euclid(60), 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, 'd', hours.rem_euclid(24), 'h'),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => two(days.div_euclid(365), 'y', days.rem_euclid(365), 'd'),
        _ => format!("{}y", days.div_euclid(365)),
    }
}

#[cfg(test)]
mod tests {
    use super::human_duration;

    #[test]
    fn units_change_where_kubectl_changes_them() {
        let (minute, hour, day) = (60, 3600, 86400);
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (9 * minute + 59, "9m59s"),
            (10 * minute, "10m"),
            (179 * minute + 59, "179m"),
            (3 * hour, "3h"),
            (7 * hour + 59 * minute, "7h59m"),
            (8 * hour + 1, "8h"),
            (47 * hour, "47h"),
            (48 * hour, "2d"),
            (191 * hour, "7d23h"),
            (8 * day, "8d"),
            (729 * day, "729d"),
            (730 * day, "2y"),
            (2919 * day, "7y364d"),
            (2920 * day, "8y"),
            (10000 * day, "27y"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }
}
