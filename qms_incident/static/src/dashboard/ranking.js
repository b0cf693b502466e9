import {Component, useState} from "@odoo/owl";

const SHOWN = 8;

/** Show how many there are of each, most first, as bars that can be read aloud. */
export class Ranking extends Component {
    static template = "qms_incident.Ranking";
    static props = {
        name: String,
        // [{key, label, value, colour, onOpen}]
        rows: Array,
        empty: String,
    };

    setup() {
        this.state = useState({all: false});
    }

    get rows() {
        return this.state.all ? this.props.rows : this.props.rows.slice(0, SHOWN);
    }

    get hidden() {
        return this.props.rows.length - this.rows.length;
    }

    bar({value, colour}) {
        const most = Math.max(...this.props.rows.map((row) => row.value), 1);
        return `width: ${(100 * value) / most}%; background: ${colour}`;
    }
}
