//! Colours, patterns and signs of the SVG picture.
//!
//! Colours are plain values and not CSS variables, which some viewers do not know. Every state has a colour, a sign
//! and, but for the common good one, a pattern, so that none of them carries the meaning alone.

use super::BarState;

/// Styles for light and, by the reader's preference, dark surroundings.
pub(super) const STYLE: &str = "\
text{font-family:ui-sans-serif,system-ui,-apple-system,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:#1f2937}
.bg{fill:#ffffff;stroke:#d8dee6}
.title{font-size:18px;font-weight:600}
.sub{font-size:12.5px;fill:#5b6776}
.tick{font-size:11px;fill:#5b6776}
.group{font-size:12px;font-weight:600;fill:#374151}
.task{font-size:12px;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.note{font-size:11px;fill:#374151;paint-order:stroke;stroke:#ffffff;stroke-width:3px;stroke-linejoin:round}
.key{font-size:11.5px;fill:#374151}
.grid{stroke:#e4e8ee;stroke-width:1}
.axis{stroke:#9aa5b4;stroke-width:1}
.band{fill:#f6f8fa}
.head{fill:#eaeef3}
.plan{fill:#e3ebf6;stroke:#8296b3;stroke-width:1}
.void{stroke-dasharray:3 2;fill:none}
.succeeded{fill:#1a8f63}.failed{fill:#cf222e}.timed-out{fill:#bf5700}.cancelled{fill:#7b4fc9}
.running{fill:#1f6fd0}.skipped{fill:#6b7785}.planned{fill:#8296b3}
.sign{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.sign.succeeded{stroke:#1a8f63}.sign.failed{stroke:#cf222e}.sign.timed-out{stroke:#bf5700}
.sign.cancelled{stroke:#7b4fc9}.sign.running{stroke:#1f6fd0}.sign.skipped{stroke:#6b7785}.sign.planned{stroke:#8296b3}
.mark{stroke:#ffffff;stroke-opacity:.62;stroke-width:2;fill:none}
.deadline{stroke:#d1001f;stroke-width:2;fill:#d1001f}
.wait{stroke:#b26a00;stroke-width:2;stroke-dasharray:2 2;fill:none}
.over{fill:#d1001f}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.bg{fill:#0f141b;stroke:#2d3541}
.sub,.tick{fill:#9aa6b4}
.group,.key{fill:#c9d3de}
.note{fill:#d5dde6;stroke:#0f141b}
.grid{stroke:#222a35}
.axis{stroke:#56616f}
.band{fill:#141b24}
.head{fill:#1c2530}
.plan{fill:#1f2c3f;stroke:#6b83a6}
.void{fill:none}
.succeeded{fill:#35b883}.failed{fill:#f4616b}.timed-out{fill:#ec8a36}.cancelled{fill:#a885ee}
.running{fill:#58a0f5}.skipped{fill:#8d99a8}.planned{fill:#6b83a6}
.sign{fill:none}
.sign.succeeded{stroke:#35b883}.sign.failed{stroke:#f4616b}.sign.timed-out{stroke:#ec8a36}
.sign.cancelled{stroke:#a885ee}.sign.running{stroke:#58a0f5}.sign.skipped{stroke:#8d99a8}.sign.planned{stroke:#6b83a6}
.mark{stroke:#0f141b;stroke-opacity:.55}
.deadline{stroke:#ff4d5e;fill:#ff4d5e}
.wait{stroke:#e3a33c}
.over{fill:#ff4d5e}
}
";

/// Patterns laid over the bars, and the signs, each 10 by 10.
pub(super) const DEFINITIONS: &str = r#"<defs>
<pattern id="p-failed" width="7" height="7" patternUnits="userSpaceOnUse">
<path class="mark" d="M-1 8L8 -1M-1 1L1 -1M6 8L8 6"/></pattern>
<pattern id="p-timed-out" width="5" height="5" patternUnits="userSpaceOnUse">
<path class="mark" d="M2.5 0V5"/></pattern>
<pattern id="p-cancelled" width="7" height="7" patternUnits="userSpaceOnUse">
<path class="mark" d="M-1 -1L8 8M6 -1L8 1M-1 6L1 8"/></pattern>
<pattern id="p-running" width="10" height="10" patternUnits="userSpaceOnUse">
<path class="mark" d="M2 0L6 5L2 10"/></pattern>
<g id="s-succeeded"><path d="M1 5.5L4 8.5L9 1.5"/></g>
<g id="s-failed"><path d="M1.5 1.5L8.5 8.5M8.5 1.5L1.5 8.5"/></g>
<g id="s-timed-out"><path d="M5 .8A4.2 4.2 0 1 1 4.99 .8ZM5 2.8V5.3L6.8 6.3"
stroke-width="1.5"/></g>
<g id="s-cancelled"><path d="M5 .8A4.2 4.2 0 1 1 4.99 .8ZM2.1 7.9L7.9 2.1"
stroke-width="1.5"/></g>
<g id="s-skipped"><path d="M1.5 5H8.5"/></g>
<g id="s-running"><path d="M2.5 1.5L8 5L2.5 8.5Z"/></g>
<g id="s-planned"><path d="M5 1.2A3.8 3.8 0 1 1 4.99 1.2Z" stroke-width="1.5"/></g>
</defs>
"#;

/// The word by which styles, patterns and signs of a state are named.
pub(super) fn class(state: BarState) -> &'static str {
    match state {
        BarState::TimedOut => "timed-out",
        other => other.word(),
    }
}

/// Whether bars of this state carry a pattern: those of the common, good one are plain.
pub(super) fn patterned(state: BarState) -> bool {
    matches!(state, BarState::Failed | BarState::TimedOut | BarState::Cancelled | BarState::Running)
}
