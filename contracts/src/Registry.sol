// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Epochs} from "./Epochs.sol";
import {Verifiers} from "./Verifiers.sol";

/// @title Registry of one Authnet network
/// @notice No proxy: what is deployed is what runs. The owner is meant to be a multisig behind a timelock; alone it
/// can announce a committee of its own nodes, which is why nodes wait out a notice and may reject.
contract Registry is Epochs, Verifiers {
    constructor(string memory networkId_, bool dev_, address owner_, uint64 changeDelayS_)
        Ownable(owner_)
        Epochs(networkId_, dev_)
        Verifiers(dev_, changeDelayS_)
    {}
}
